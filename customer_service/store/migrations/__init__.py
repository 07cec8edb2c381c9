"""The chain of the customer's schema, for both engines."""
