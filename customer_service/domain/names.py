"""When two names are the same."""

import unicodedata


def name_key(name: str) -> str:
    """What makes two names the same: their letters, in any case and composition."""
    return unicodedata.normalize("NFC", name.strip()).casefold()
