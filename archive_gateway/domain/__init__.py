"""What an archive is and what may be done to it; no I/O, no SQL, no transport."""
