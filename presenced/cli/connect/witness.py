"""A carrier that notes what becomes of every request it hands on.

Discovery and the EWS door answer with the outcome; whether it was the sign-in that failed, which servers
were asked on the way, and whether a stream has really given a sign of life is seen here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus

from presenced.calendars.carrier import Carrier, CarrierProblem, Reply, Stream
from presenced.calendars.ews.stream import KeepAlive, Notified, StreamReader
from presenced.calendars.transport.tapped import TappedStream


@dataclass(slots=True)
class Account:
    """What has been seen so far."""

    tried: list[str] = field(default_factory=list)
    """each request in words: where, and what came of it"""
    refusal: CarrierProblem | None = None
    """the last refused sign-in"""
    signed_in: str = ""
    """where the sign-in was accepted first"""
    status_events: int = 0
    """StatusEvents and notices of streams"""


class Witness:
    """The port `calendars.carrier.Carrier` around another."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self.seen = Account()

    async def send(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        budget: str = "",
        signed_in: bool = True,
        within: timedelta | None = None,
    ) -> Reply:
        """Hand on; see carrier.py."""
        try:
            reply = await self._carrier.send(
                method, url, body=body, headers=headers, budget=budget, signed_in=signed_in, within=within
            )
        except CarrierProblem as problem:
            self._note_problem(url, problem)
            raise
        self.seen.tried.append(f"{_bare(url)}: HTTP {reply.status}")
        if signed_in:
            self._note_sign_in(url, reply.status)
        return reply

    @asynccontextmanager
    async def open_stream(
        self,
        url: str,
        *,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        budget: str = "",
        opening_within: timedelta | None = None,
    ) -> AsyncIterator[Stream]:
        """Hand on; see carrier.py."""
        async with self._carrier.open_stream(
            url, body=body, headers=headers, budget=budget, opening_within=opening_within
        ) as stream:
            yield TappedStream(stream, self._count)

    def hold(self, budget: str, duration: timedelta) -> None:
        """Hand on; see carrier.py."""
        self._carrier.hold(budget, duration)

    async def _count(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Signs of life, as they pass."""
        reader = StreamReader()
        async for piece in pieces:
            signs = [one for one in reader.feed(piece) if isinstance(one, KeepAlive | Notified)]
            self.seen.status_events += len(signs)
            yield piece

    def _note_problem(self, url: str, problem: CarrierProblem) -> None:
        self.seen.tried.append(f"{_bare(url)}: {problem.reason}")
        if problem.kind == "sign-in":
            self.seen.refusal = problem

    def _note_sign_in(self, url: str, status: int) -> None:
        """A SOAP fault (500) comes after the sign-in, a redirect or a refusal may come before it."""
        accepted = status < HTTPStatus.MULTIPLE_CHOICES or status == HTTPStatus.INTERNAL_SERVER_ERROR
        if accepted and not self.seen.signed_in:
            self.seen.signed_in = _bare(url)


def _bare(url: str) -> str:
    return url.partition("?")[0]
