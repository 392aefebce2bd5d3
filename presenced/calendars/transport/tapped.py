"""A stream that somebody looks into while it is read: the transcript, or a check that counts what comes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping

from presenced.calendars.carrier import Stream


class TappedStream:
    """The `Stream` of carrier.py around another: its pieces go through `tap`, all else is its own."""

    def __init__(self, stream: Stream, tap: Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]) -> None:
        self._stream = stream
        self._tap = tap

    @property
    def status(self) -> int:
        return self._stream.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._stream.headers

    @property
    def cookies(self) -> Mapping[str, str]:
        return self._stream.cookies

    def chunks(self) -> AsyncIterator[bytes]:
        """The pieces as the tap hands them on."""
        return self._tap(self._stream.chunks())
