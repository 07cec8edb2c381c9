"""Serving: who calls, what they may do, and the two listeners."""
