"""Compares ledger and files: scrub, strays, rebuild."""
