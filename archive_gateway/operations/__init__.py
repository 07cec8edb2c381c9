"""What the gateway does, a transaction each."""
