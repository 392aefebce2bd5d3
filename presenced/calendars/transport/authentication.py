"""Sign-ins: how a request says as whom it comes. One strategy object for each way, one flow for all.

The flow: nothing secret goes to a server that has not asked for it (a search for autodiscover knocks at
the company's web site, which may be anybody's machine), the first sign-in at a server goes alone (see
gate.py), and a 401 in mid-life is worth one more try.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Protocol

from presenced.calendars.carrier import CarrierProblem
from presenced.calendars.claims import find_claims
from presenced.calendars.transport.gate import Gate
from presenced.calendars.transport.lanes import Answer, Lane, Request

UNAUTHORIZED = 401
REDIRECTED = 300
FAULT = 500
_QUOTED = re.compile(r'"[^"]*"')
_MOST_TRIES = 3


class TokenSource(Protocol):
    """Where bearer tokens come from; keeps them itself, for they outlive requests."""

    async def fetch_token(self, *, refresh: bool, claims: str = "") -> str:
        """A token that is good now; `refresh`: the last one was refused, get a new one.

        `claims` is what the refusal demanded of the new one (claims.find_claims), "" where nothing.
        Raises CarrierProblem("sign-in") where there is none to be had.
        """


class SignIn(ABC):
    """A way to sign in. `pinned`: it signs in connections, so each slot needs its own."""

    scheme = ""
    """as it stands in WWW-Authenticate"""
    pinned = False
    knocks = False
    """its first message has nothing secret in it, so it may go to anybody"""

    def __init__(self, gate: Gate, *, account: str, plain_loopback: bool = False) -> None:
        self._gate = gate
        self._account = account
        self._plain_loopback = plain_loopback
        """credentials may go to this very machine without TLS"""

    async def open(self, lane: Lane, request: Request) -> Answer:
        """Send signed in; any answer but a 401. Raises CarrierProblem, "sign-in" where it is refused."""
        origin = request.origin
        for _ in range(_MOST_TRIES):
            if self._gate.is_proven(origin):
                answer = await self._attempt(lane, request)
                if answer.status != UNAUTHORIZED:
                    return answer
                await answer.drain()
                self._gate.doubt(origin)
            async with self._gate.entrance(origin):
                if not self._gate.is_proven(origin):  # else somebody else has just shown that it works
                    return await self._prove(lane, request)
        raise CarrierProblem(
            "sign-in", f"{origin} takes the sign-in of {self._account} and refuses it by turns"
        )

    async def _prove(self, lane: Lane, request: Request) -> Answer:
        origin = request.origin
        if not self.knocks and not self._gate.asks(origin):
            answer = await lane.open(request)
            if answer.status != UNAUTHORIZED:
                return answer
            await answer.drain()
            self._check_offer(answer, request)
            self._gate.expect(origin)
        self._refuse_plain(request)
        answer = await self._attempt(lane, request, proving=True)
        if answer.status != UNAUTHORIZED:
            if self._is_proof(lane, request, answer):
                self._gate.accept(origin)
            return answer
        await answer.drain()
        self._check_offer(answer, request)
        raise self._gate.refuse(origin, self._refusal(answer, request))

    @abstractmethod
    async def _attempt(self, lane: Lane, request: Request, *, proving: bool = False) -> Answer:
        """Send with credentials; a 401 here means that they were refused."""

    @abstractmethod
    def _refusal(self, answer: Answer, request: Request) -> CarrierProblem:
        """What a refusal means, and what to do about it."""

    def _offers(self, offered: frozenset[str]) -> bool:
        return self.scheme.casefold() in offered

    def _is_proof(self, lane: Lane, request: Request, answer: Answer) -> bool:
        """The answer shows that the sign-in was accepted (a SOAP fault, 500, comes after it)."""
        return answer.status < REDIRECTED or answer.status == FAULT

    def _check_offer(self, answer: Answer, request: Request) -> None:
        """Raise where the server names schemes, and ours is not among them."""
        offered = find_schemes(answer.challenges)
        if not offered or self._offers(offered):
            return
        names = ", ".join(sorted(offered))
        problem = CarrierProblem(
            "sign-in",
            f"{request.origin} does not take a {self.scheme} sign-in (it offers {names})",
            remedy=f"enable {self.scheme} authentication on the server's virtual directory, "
            "or choose another authentication",
        )
        raise self._gate.refuse(request.origin, problem)

    def _refuse_plain(self, request: Request) -> None:
        scheme, _, place = request.origin.partition("://")
        if scheme == "https" or (self._plain_loopback and is_loopback(place.rpartition(":")[0])):
            return
        raise CarrierProblem(
            "sign-in",
            f"{request.origin} would get the sign-in of {self._account} without TLS",
            remedy="use https",
        )


class Basic(SignIn):
    """User and password with each request (RFC 7617)."""

    scheme = "Basic"

    def __init__(self, gate: Gate, user: str, password: str, *, plain_loopback: bool = False) -> None:
        super().__init__(gate, account=user, plain_loopback=plain_loopback)
        self._header = "Basic " + b64encode(f"{user}:{password}".encode()).decode()

    async def _attempt(self, lane: Lane, request: Request, *, proving: bool = False) -> Answer:
        return await lane.open(request, authorization=self._header)

    def _refusal(self, answer: Answer, request: Request) -> CarrierProblem:
        return CarrierProblem(
            "sign-in",
            f"{request.origin} refused user and password of {self._account} (Basic)",
            remedy="check user and password in [exchange], and whether the account is locked, disabled "
            "or expired",
        )


class Bearer(SignIn):
    """An OAuth2 token with each request (RFC 6750)."""

    scheme = "Bearer"

    def __init__(
        self, gate: Gate, tokens: TokenSource, *, account: str, plain_loopback: bool = False
    ) -> None:
        super().__init__(gate, account=account, plain_loopback=plain_loopback)
        self._tokens = tokens
        self._claims = ""
        """what the last refusal demanded of the next token"""

    async def _attempt(self, lane: Lane, request: Request, *, proving: bool = False) -> Answer:
        doubted = proving and self._gate.is_doubted(request.origin)
        answer = await self._send(lane, request, refresh=doubted)
        if answer.status == UNAUTHORIZED and proving and not doubted:
            await answer.drain()  # the very first token may come from a cache, and be stale
            answer = await self._send(lane, request, refresh=True)
        return answer

    async def _send(self, lane: Lane, request: Request, *, refresh: bool) -> Answer:
        claims = ""
        if refresh:
            claims, self._claims = self._claims, ""
        token = await self._tokens.fetch_token(refresh=refresh, claims=claims)
        answer = await lane.open(request, authorization="Bearer " + token)
        if answer.status == UNAUTHORIZED:
            self._claims = find_claims(answer.challenges) or self._claims
        return answer

    def _refusal(self, answer: Answer, request: Request) -> CarrierProblem:
        said = answer.headers.get("x-ms-diagnostics", "")[:200]
        return CarrierProblem(
            "sign-in",
            f"{request.origin} refused the token of {self._account}" + (f": {said}" if said else ""),
            remedy="check that the app has its API permission and the admin consent, "
            "and that tenant_id, client_id and cloud belong together",
        )


def find_schemes(challenges: Sequence[str]) -> frozenset[str]:
    """The schemes WWW-Authenticate headers name, lower case."""
    parts = (part.split() for challenge in challenges for part in _QUOTED.sub("", challenge).split(","))
    return frozenset(words[0].casefold() for words in parts if words and "=" not in words[0])


def is_loopback(host: str) -> bool:
    """The host is this very machine, by its name or its address."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
