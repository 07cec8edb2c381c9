"""The chain of the provider's schema, for both engines."""
