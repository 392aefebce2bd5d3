"""Asking one server one question: autodiscover in its three dialects, and ResolveNames.

What comes back is an answer, or one of three failures that matter to the search: the server sent us on
(`SentOn`), does not speak like this (`NotSpoken`), or could not be asked (CarrierProblem).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TypeVar

from presenced.calendars.carrier import Carrier, CarrierProblem, Reply
from presenced.calendars.discovery import names, wire
from presenced.calendars.discovery.order import Dialect, Place, Probe, join
from presenced.calendars.discovery.wire import Malformed, SettingsAnswer, UserAnswer
from presenced.calendars.request_id import request_id_headers

_WITHIN = timedelta(seconds=45)
_BUSY_FOR = timedelta(seconds=5)
"""the pause after a busy server, unless it named one (that is the carrier's to keep)"""
_XML = {"Content-Type": "text/xml; charset=utf-8", "Accept": "text/xml"}
_BUSY = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)

T = TypeVar("T")


class SentOn(Exception):
    """The server redirects the request to `location`, a whole URL."""

    def __init__(self, location: str) -> None:
        super().__init__(f"sent on to {location[:200]}")
        self.location = location


class NotSpoken(Exception):
    """The server does not speak this dialect, or not to us; the text says what it did instead."""


@dataclass(frozen=True, slots=True)
class Voice:
    """In whose name a question is put."""

    budget: str = ""
    """who is charged: a mailbox, "" the account"""
    anchor: str = ""
    """X-AnchorMailbox"""
    impersonated: bool = False


class Asking:
    """Puts questions to servers through the carrier."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    async def probe(self, probe: Probe, sample: str, anchor: str) -> None:
        """Return if the server speaks the dialect, whatever it says of the sample address.

        Charged to the host: a stranger's 503 must not hold back the account.
        """
        voice = Voice(probe.place.host, anchor)
        if probe.plain:
            url = probe.place.url(probe.dialect)
            reply = await self._carrier.send("GET", url, budget=voice.budget, signed_in=False, within=_WITHIN)
            _check(reply, url)
            raise NotSpoken("no redirect")
        if probe.dialect is Dialect.SOAP:
            answer = await self.ask_soap(probe.place, [sample], voice)
            if answer.code == wire.FAULT:
                raise NotSpoken(f"fault, {answer.message}")
        else:
            await self.ask_one(probe.place, probe.dialect, sample, voice)

    async def ask_soap(self, place: Place, addresses: Sequence[str], voice: Voice) -> SettingsAnswer:
        """GetUserSettings for these addresses."""
        url = place.url(Dialect.SOAP)
        reply = await self._post(url, wire.render_user_settings(addresses, url), wire.SOAP_ACTION, voice)
        _check(reply, url, HTTPStatus.INTERNAL_SERVER_ERROR)
        answer = _parse(wire.parse_user_settings, reply)
        if answer.code == wire.SERVER_BUSY:
            raise _busy(answer.message or answer.code)
        return answer

    async def ask_one(self, place: Place, dialect: Dialect, address: str, voice: Voice) -> UserAnswer:
        """POX, or JSON (which knows no sign-in), for one address."""
        if dialect is Dialect.POX:
            url = place.url(dialect)
            reply = await self._post(url, wire.render_pox(address), "", voice)
            _check(reply, url)
            return _parse(wire.parse_pox, reply)
        answer = await self._ask_json(place, address, "AutodiscoverV1", voice)
        url = answer.settings.get(wire.URL, "")
        if not url:
            return answer
        if not url.casefold().startswith(place.base.casefold() + "/"):
            return UserAnswer(wire.REDIRECT_URL, target=url)
        answer = await self._ask_json(place, address, "EWS", voice)  # its SOAP and POX are not for us
        return UserAnswer(
            answer.code, answer.message, settings={wire.EXTERNAL: answer.settings.get(wire.URL, "")}
        )

    async def resolve(self, url: str, address: str, voice: Voice) -> UserAnswer:
        """ResolveNames at an EWS URL."""
        body = names.render_resolve_names(address, impersonated=voice.impersonated)
        reply = await self._post(url, body, names.SOAP_ACTION, voice)
        _check(reply, url, HTTPStatus.INTERNAL_SERVER_ERROR)
        answer = _parse(lambda octets: names.parse_resolve_names(octets, address), reply)
        if answer.code == names.SERVER_BUSY:
            raise _busy(answer.message or answer.code)
        return answer

    async def _post(self, url: str, body: bytes, action: str, voice: Voice) -> Reply:
        headers: Mapping[str, str] = {
            **_XML,
            **request_id_headers(),
            **({"SOAPAction": f'"{action}"'} if action else {}),
            **({"X-AnchorMailbox": voice.anchor} if voice.anchor else {}),
        }
        return await self._carrier.send(
            "POST", url, body=body, headers=headers, budget=voice.budget, within=_WITHIN
        )

    async def _ask_json(self, place: Place, address: str, protocol: str, voice: Voice) -> UserAnswer:
        url = place.url(Dialect.JSON, address, protocol)
        reply = await self._carrier.send(
            "GET",
            url,
            headers={"Accept": "application/json"},
            budget=voice.budget,
            signed_in=False,
            within=_WITHIN,
        )
        _check(reply, url, HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST)
        return _parse(wire.parse_json, reply)


def _check(reply: Reply, url: str, *telling: HTTPStatus) -> None:
    """Raise unless the body is worth reading: status 200, or one of `telling`."""
    location = reply.headers.get("Location", "")
    if 300 <= reply.status < 400 and location:
        raise SentOn(join(url, location))
    if reply.status in _BUSY:
        raise _busy(f"HTTP {reply.status}")
    if reply.status != HTTPStatus.OK and reply.status not in telling:
        policy = reply.headers.get("X-EWS-Policy-Reason", "")
        raise NotSpoken(f"HTTP {reply.status}" + (f", {policy}" if policy else ""))


def _parse(parse: Callable[[bytes], T], reply: Reply) -> T:
    try:
        return parse(reply.body)
    except Malformed as problem:
        raise NotSpoken(f"HTTP {reply.status}, but {problem}") from problem


def _busy(why: str) -> CarrierProblem:
    return CarrierProblem(
        "held", f"the server is busy ({why})", remedy="wait; look at its load", retry_after=_BUSY_FOR
    )
