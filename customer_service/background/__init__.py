"""Loops that call operations."""
