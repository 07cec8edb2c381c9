"""Names within a blob store."""

SPOOL = ".spool"
MARKER = ".offsite-archive"  # holds the GUID of the server that the store belongs to


def checked(location: str) -> str:
    """A location as it is, if it stays within the store and clear of the store's own files.

    Raises:
        ValueError: it is absolute, or has a part that is empty or begins with a dot.
    """
    if any(not part or part.startswith(".") or "\0" in part for part in location.split("/")):
        raise ValueError("a location must be relative, without parts that begin with a dot")
    return location
