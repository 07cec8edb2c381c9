"""restic's REST protocol over HTTPS."""
