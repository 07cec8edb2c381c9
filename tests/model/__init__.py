"""An exhaustive model of the seat protocol: two ledgers, a bad network, clones and old backups."""
