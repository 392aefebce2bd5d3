"""The protocol in the debug log (`debug_protocol`): whole messages, with secrets and titles masked.

Masking goes by element and member names and knows no context: rather one value too many is hidden than
one title shown. Sign-ins never come here, the carrier adds them further down.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Mapping

from presenced.calendars.carrier import Stream
from presenced.calendars.transport.tapped import TappedStream

_log = logging.getLogger(__name__)

_LONGEST = 256 * 1024
_HIDDEN_HEADERS = frozenset({"authorization", "cookie", "set-cookie", "proxy-authorization"})
_ELEMENTS = re.compile(
    r"(<(?:[\w.-]+:)?(?:Subject|NormalizedSubject|Body|TextBody|UniqueBody|NormalizedBody|Preview|Location"
    r"|ConversationTopic|String|Password|Secret|Token)(?:\s[^<>]*)?>)"
    r"(?:[^<]|<!\[CDATA\[.*?(?:\]\]>|\Z))+",
    re.DOTALL,
)
_MEMBERS = re.compile(
    r'("(?:subject|bodyPreview|content|displayName|locationUri|access_token|refresh_token|id_token'
    r'|client_secret|client_assertion|password|clientState|joinUrl|joinWebUrl|webLink)"\s*:\s*")(?:[^"\\]|\\.)*',
    re.IGNORECASE | re.DOTALL,
)


def mask(message: bytes) -> str:
    """A message as it may be logged: titles, texts and secrets of XML and JSON replaced by `***`."""
    text = message[:_LONGEST].decode("utf-8", "replace")
    masked = _MEMBERS.sub(r"\1***", _ELEMENTS.sub(r"\1***", text))
    return masked if len(message) <= _LONGEST else f"{masked} ... ({len(message)} octets in all)"


class Transcript:
    """Writes requests and answers to the debug log."""

    def write_request(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> None:
        """What is about to be sent."""
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("sent %s %s %s\n%s", method, url, _show(headers), mask(body))

    def write_answer(self, url: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """What came back."""
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("received %d from %s %s\n%s", status, url, _show(headers), mask(body))

    def follow(self, stream: Stream, url: str) -> Stream:
        """The same stream, written along as its envelopes become complete."""
        self.write_answer(url, stream.status, stream.headers, b"")
        return TappedStream(stream, lambda pieces: _write_pieces(pieces, url))


async def _write_pieces(pieces: AsyncIterator[bytes], url: str) -> AsyncIterator[bytes]:
    """Logged envelope by envelope: half a message could hide half a title."""
    pending = b""
    async for piece in pieces:
        pending += piece
        if pending.rstrip().endswith(b"Envelope>"):
            _log.debug("received from %s\n%s", url, mask(pending))
            pending = b""
        elif len(pending) > _LONGEST:
            _log.debug("received %d octets from %s without an end", len(pending), url)
            pending = b""
        yield piece


def _show(headers: Mapping[str, str]) -> str:
    return " ".join(
        f"{name}={'***' if name.casefold() in _HIDDEN_HEADERS else value!r}"
        for name, value in headers.items()
    )
