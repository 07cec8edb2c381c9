"""Pure rules of the customer's server: what is out of bounds can't be constructed."""
