"""Tables and queries of the provider's ledger: a function a query."""
