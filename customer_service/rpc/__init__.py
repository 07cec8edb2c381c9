"""The customer's servicers: a handler converts, runs one operation, converts back."""
