"""What the provider's server does: use cases, a transaction each."""
