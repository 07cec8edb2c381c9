"""What every server and command here is made of."""
