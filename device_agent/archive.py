"""One archive over HTTP: what the agent itself asks of it; all else is restic's."""

import base64
import hashlib
import http.client
import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from device_agent.access import Access
from service_kit.errors import (
    Conflict,
    LimitReached,
    NotFound,
    OffsiteError,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)
from service_kit.reasons import Reason
from service_kit.validation import plain

TIMEOUT = 30.0  # seconds in which nothing comes
LONGEST = 120.0  # seconds of a whole request, however slowly something comes
LARGEST = 16 << 20  # bytes of an answer: a list of 100,000 names
LISTED = "application/vnd.x.restic.rest.v2"
_NAME = re.compile(r"[0-9a-f]{64}")
ASK = "Ask your administrator."


class Archive:
    """The archive behind an access; `name` is the destination's, for what is told to people."""

    def __init__(self, name: str, access: Access, ca_file: Path) -> None:
        self.name = name
        self.access = access
        self.ca_file = ca_file
        self._tls: ssl.SSLContext | None = None

    def usage(self) -> Mapping[str, Any]:
        """How the archive stands: state, reason, sizes in bytes, and the time of its last backup.

        Raises:
            OffsiteError: as every request here, the archive refuses or can't be reached.
        """
        found = self._json("usage")
        return found if isinstance(found, dict) else {}

    def has_config(self) -> bool:
        """Whether there is a repository."""
        try:
            self._request("HEAD", "config")
        except NotFound:
            return False
        return True

    def names(self, kind: str) -> list[str]:
        """The names of all blobs of a type."""
        listed = self._json(f"{kind}/")
        blobs = listed if isinstance(listed, list) else []
        names = [str(each.get("name")) for each in blobs if isinstance(each, dict)]
        return [each for each in names if _NAME.fullmatch(each)]

    def read(self, kind: str, name: str) -> bytes:
        """A blob's content."""
        return self._request("GET", f"{kind}/{name}")

    def put(self, kind: str, content: bytes) -> None:
        """Store a blob under the hash of its content."""
        self._request("POST", f"{kind}/{hashlib.sha256(content).hexdigest()}", content)

    def delete(self, kind: str, name: str) -> None:
        """Delete a blob, or the config, which has no name; one that is missing is fine."""
        self._request("DELETE", f"{kind}/{name}".removesuffix("/"))

    def _json(self, path: str) -> Any:
        answer = self._request("GET", path)
        try:
            return json.loads(answer or b"null")
        except (ValueError, RecursionError) as error:
            raise self._unreachable("its answer can't be read") from error

    def _request(self, method: str, path: str, body: bytes | None = None) -> bytes:
        connection = http.client.HTTPSConnection(self.access.address, context=self._context())
        try:
            place = (connection.host, connection.port)
            with _ending_in_time(socket.create_connection(place, TIMEOUT)) as connected:
                context = self._context()
                connection.sock = context.wrap_socket(connected, server_hostname=place[0])
                connection.request(method, self.access.path + path, body, self._headers())
                response = connection.getresponse()
                answer = response.read(LARGEST)
        except ssl.SSLCertVerificationError as error:
            raise self._another(error) from error
        except (ssl.SSLError, http.client.BadStatusLine) as error:
            raise self._no_https(error) from error
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(getattr(error, "strerror", None) or str(error)) from error
        finally:
            connection.close()
        if response.status not in (200, 206):
            page = answer.decode(errors="replace") if method != "HEAD" else ""
            raise self.refusal(response.status, *_sentence_and_advice(response.reason, page))
        return answer

    def _headers(self) -> dict[str, str]:
        both = f"{self.access.user}:{self.access.credential}".encode()
        authorization = f"Basic {base64.b64encode(both).decode()}"
        return {"Authorization": authorization, "Accept": LISTED}

    def _context(self) -> ssl.SSLContext:
        """Trusts the one identity CA alone, and checks the name that was dialled."""
        if self._tls is None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._tls.load_verify_locations(self.ca_file)
        return self._tls

    def refusal(self, status: int, text: str, advice: str = "") -> OffsiteError:
        """What an HTTP status of this archive says, in the server's words where it has any.

        Its advice stands alone, too, but of a quota, where there is more to say.
        """
        said = f"{self.name}: {plain(text.strip(), 500).rstrip('.') or f'HTTP status {status}'}."
        if status == 401:
            return Unauthenticated(Reason.CREDENTIALS_REVOKED, said, advice or ASK)
        if status == 403:
            advice = advice or f"Backups made so far can be restored. {ASK}"
            return PermissionDenied(Reason.ARCHIVE_READ_ONLY, said, advice)
        if status == 404:
            return NotFound(Reason.NOT_FOUND, said, advice or ASK)
        if status == 507:
            return self._full(said)
        if status >= 500 or status == 429:
            return Unavailable(Reason.ARCHIVE_UNAVAILABLE, said, advice or "Try again later.")
        return Conflict(Reason.WRONG_STATE, said, advice or ASK)

    def _full(self, said: str) -> LimitReached:
        if "storage full" in said:
            advice = f"Restoring works. Whoever keeps that storage must make room. {ASK}"
            return LimitReached(Reason.STORAGE_FULL, said, advice)
        return LimitReached(
            Reason.DISK_QUOTA_EXCEEDED,
            said,
            f'Restoring works. Forget and prune old snapshots (restic "{self.name}" -- forget '
            "--prune …), or ask your administrator for more room.",
        )

    def _unreachable(self, why: str) -> Unavailable:
        return Unavailable(
            Reason.PEER_UNREACHABLE,
            f"{self.name} can't be reached at {self.access.address}: {plain(why, 200)}.",
            "Check this computer's network, then try again.",
        )

    def _no_https(self, error: Exception) -> Unavailable:
        """Something listens, and not by HTTPS: it is another port of the server, or going down."""
        why = plain(str(error), 200).rstrip(".") or "it ended the connection"
        return Unavailable(
            Reason.PEER_UNREACHABLE,
            f"{self.name}: no HTTPS server answers at {self.access.address}: {why}.",
            "The server's HTTPS port is wanted, 7402 by default at a provider. If it is that one, "
            "try again.",
        )

    def _another(self, error: ssl.SSLCertVerificationError) -> PermissionDenied:
        return PermissionDenied(
            Reason.PEER_IDENTITY_MISMATCH,
            f"{self.name}: {self.access.address} did not prove that it is the server "
            f"{self.access.server_guid} ({plain(error.verify_message, 200)}).",
            f"Nothing was sent. {ASK}",
        )


def _sentence_and_advice(phrase: str, body: str) -> tuple[str, str]:
    """What an answer says, apart from what it says to do: our servers repeat the phrase in front.

    The phrase is in ASCII; another program's page is a sentence as a whole.
    """
    sentence, rest = body[: len(phrase)], body[len(phrase) :]
    if rest.startswith(".") and sentence.encode("ascii", "replace").decode() == phrase:
        return sentence, plain(rest[1:].strip(), 500)
    return body.strip() or phrase, ""


@contextmanager
def _ending_in_time(connected: socket.socket) -> Iterator[socket.socket]:
    """End a connection after the longest time, whatever its peer keeps on sending.

    Raises:
        TimeoutError: it was ended.
    """
    ended = threading.Event()

    def end() -> None:
        ended.set()
        with suppress(OSError):  # it has ended already
            same.shutdown(socket.SHUT_RDWR)

    with connected, connected.dup() as same:
        timer = threading.Timer(LONGEST, end)
        timer.daemon = True
        timer.start()
        try:
            yield connected
        except (OSError, ValueError, http.client.HTTPException):
            if not ended.is_set():
                raise
        finally:
            timer.cancel()
    if ended.is_set():
        raise TimeoutError(f"it took longer than {LONGEST:.0f} s")
