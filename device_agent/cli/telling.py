"""Sentences for people."""


def together(message: str, advice: str) -> str:
    """What happened and what to do, on one line: a message may lack its full stop."""
    return f"{message.rstrip('.')}. {advice}".rstrip()
