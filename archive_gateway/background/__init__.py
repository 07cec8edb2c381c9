"""The loops of an archive."""
