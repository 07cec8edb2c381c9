"""Whole servers, run as a user runs them."""
