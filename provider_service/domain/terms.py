"""The terms and conditions that the operator agrees to for a hosted organization."""

import hashlib
from dataclasses import dataclass

from service_kit.validation import Checks

DEFAULT_TEXT = """\
The service provider stores encrypted backups for the customer, within the seats and the disk quota
agreed. The provider cannot read them. The customer keeps its recovery key; without it nobody can
restore. Either side may end the attachment; archives are then kept for the retention agreed.
"""


@dataclass(frozen=True)
class Text:
    """Terms and conditions, named by what they say.

    Raises:
        InvalidArgument: the text is empty, too long, or has control characters.
    """

    text: str

    def __post_init__(self) -> None:
        """Bound the text."""
        checks = Checks()
        checks.text("text", self.text, least=1, most=100_000, lines=True)
        checks.done()

    @property
    def version(self) -> str:
        """The first 12 hexadecimal digits of the text's SHA-256."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]
