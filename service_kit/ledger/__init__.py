"""What every server keeps in its ledger: audit trail, access tokens, its license."""
