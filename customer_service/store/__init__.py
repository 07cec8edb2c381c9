"""Tables and queries of the customer's ledger: a function a query."""
