"""The whole workflow of hosted offsite backup between two companies, told as it happens.

Real servers, real RPCs, the real restic, a temporary folder; every step is checked. `./run demo`.
"""
