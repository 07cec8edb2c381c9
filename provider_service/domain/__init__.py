"""Pure rules of the provider's server: what is out of bounds can't be constructed."""
