"""The gRPC services by which an operator looks after archives."""
