"""The customer's servicers: a file a noun; a handler converts, runs one operation, converts back."""
