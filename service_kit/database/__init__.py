"""A ledger in SQLite or PostgreSQL: transactions, group commit, migrations, paging, backup."""
