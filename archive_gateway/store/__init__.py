"""Tables and queries of the archives' ledger."""
