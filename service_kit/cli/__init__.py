"""What both command lines are made of."""
