"""The service provider's server: hosted organizations, their keys, and a ledger of seats."""
