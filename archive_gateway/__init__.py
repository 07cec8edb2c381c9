"""Where backups rest. Empty in this version."""
