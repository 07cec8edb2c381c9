"""What the customer's server does: use cases, a transaction each."""
