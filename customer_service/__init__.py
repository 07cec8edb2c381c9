"""The customer's server and its command."""
