"""A computer's own program: it enrolls at the company's server and drives the real restic."""
