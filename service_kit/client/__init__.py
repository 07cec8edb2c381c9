"""Calling another server, proven by its GUID."""
