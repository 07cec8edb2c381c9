"""What both command lines are made of. It is imported first: grpc reads its settings once."""

import os

# Else grpc writes a line of its own about every failed handshake: at a command line beside the two
# of an error, at a server into the structured log.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
