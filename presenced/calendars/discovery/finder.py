"""Finds the mailboxes of PBX users: which address Exchange knows, and where that mailbox lives.

In rounds: everybody's first candidate address, in batches, then the second ones of those still without a
mailbox, and so on; users are told apart by what the server says of each, and redirects of single users
(RedirectAddress, RedirectUrl) are followed until somebody answers.

How `name_resolution` is understood: as `impersonation-user` the service account asks about all, batched,
at the server of each address's domain, and at that of its own domain where the other has none (the
published behaviour of the vendor's calendar service). As `user-names` each address is asked about by
itself, anchored and charged to it (with ResolveNames impersonating it), at its own domain's server only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from presenced.calendars.candidates import Outcome, resolve
from presenced.calendars.carrier import Carrier, CarrierProblem
from presenced.calendars.discovery import names, wire
from presenced.calendars.discovery.asking import Asking
from presenced.calendars.discovery.lookup import Lookup, ServerLost, each
from presenced.calendars.discovery.order import Place, Trail, choose_endpoint, find_domain, find_place
from presenced.calendars.discovery.servers import NoServer, Server, Servers
from presenced.calendars.discovery.wire import UserAnswer
from presenced.config.settings import ExchangeSettings
from presenced.core.ports import Clock, Mailbox, Resolution

_DOMAINS_AT_A_TIME = 8
_MODERN = re.compile(r"Exchange20(1[3-9]|[2-9]\d)|V20")
"""EwsSupportedSchemas of Exchange 2013 and later"""
_GONE = frozenset({"dns", "connect", "tls", "timeout", "broken"})
"""kinds of problem after which the server may be somewhere else by now"""


@dataclass(frozen=True, slots=True)
class _Ask:
    """An address to be asked about, and how it came to that."""

    key: str
    """the candidate it stands for, casefolded"""
    address: str
    """what redirects made of it"""
    domain: str
    """of `address`"""
    trail: Trail
    via: Place | None = None
    """the server a redirect named, None: the domain's own"""


class Finder:
    """Finds mailboxes; remembers servers for a day, and mailboxes not at all (the store does)."""

    def __init__(self, settings: ExchangeSettings, carrier: Carrier, clock: Clock) -> None:
        self._settings = settings
        own = settings.name_resolution == "user-names"
        home = find_domain(settings.user)
        self._anchor = settings.user if home is not None else ""
        self._home = None if own or settings.autodiscover_url else home
        asking = Asking(carrier)
        self._servers = Servers(asking, clock, settings.autodiscover_url, self._anchor)
        self._lookup = Lookup(asking, clock, settings.requests_in_flight, self._anchor, own=own)

    async def fetch_mailboxes(self, users: Sequence[Sequence[str]]) -> Sequence[Resolution]:
        """Resolve each user's candidate addresses, in order of preference; see ports.CalendarDoor.

        Raises DoorProblem where nobody in the call could be asked about at all.
        """
        return await resolve(users, self._settle)

    async def _settle(self, fresh: Mapping[str, str], outcomes: dict[str, Outcome]) -> None:
        """Ask about these candidates until an outcome of each is known."""
        pending: list[_Ask] = []
        for key, address in fresh.items():
            domain = find_domain(address)
            if domain is None:
                outcomes[key] = Outcome("not an e-mail address", answered=False)
            else:
                pending.append(_Ask(key, address, domain, Trail(frozenset({key}))))
        if self._settings.ews_url:
            await self._resolve_names(pending, outcomes)
            return
        while pending:
            groups: dict[str, list[_Ask]] = {}
            for ask in pending:
                place = ask.via.base if ask.via is not None else self._servers.key(ask.domain)
                groups.setdefault(place, []).append(ask)
            pending = []

            async def work(group: list[_Ask], pending: list[_Ask] = pending) -> None:
                for ask, became in (await self._ask_group(group)).items():
                    if isinstance(became, Outcome):
                        outcomes[ask.key] = became
                    else:
                        pending.append(became)

            await each(groups.values(), min(_DOMAINS_AT_A_TIME, len(groups)), work)

    async def _ask_group(self, group: Sequence[_Ask]) -> dict[_Ask, Outcome | _Ask]:
        """Ask one server about all of them; where it is gone, look for it once more."""
        became: dict[_Ask, Outcome | _Ask] = {}
        waiting = list(group)
        for first in (True, False):
            try:
                server = await self._find(waiting[0])
            except NoServer as nothing:
                problem = self._weigh(waiting[0].domain, nothing)
                failure = Outcome(nothing.words, problem=problem, answered=False)
                became.update(dict.fromkeys(waiting, failure))
                break
            answers = await self._lookup.ask(server, [ask.address for ask in waiting])
            for ask, answer in zip(waiting, answers, strict=True):
                if isinstance(answer, ServerLost):
                    words = f"{server.place.host}: {answer.words}"
                    became[ask] = Outcome(words, problem=answer.problem, answered=False)
                else:
                    became[ask] = self._judge(ask, answer, server)
            waiting = [ask for ask, answer in zip(waiting, answers, strict=True) if _may_have_moved(answer)]
            if not waiting or not first:
                break
            self._servers.forget(server)
        return became

    async def _find(self, ask: _Ask) -> Server:
        if ask.via is not None:
            return await self._servers.find_at(ask.via, ask.domain, ask.address)
        try:
            return await self._servers.find(ask.domain, ask.address)
        except NoServer as nothing:
            if self._home is None or self._home == ask.domain:
                raise
            try:
                return await self._servers.find(self._home, self._anchor)
            except NoServer as other:
                words = f"{nothing.words}; {other.words}"
                raise NoServer(words, other.problem or nothing.problem) from other

    def _weigh(self, domain: str, nothing: NoServer) -> CarrierProblem | None:
        """The problem where it is more than a strange domain in somebody's address."""
        hopeful = any(self._servers.is_hopeful(one) for one in (domain, self._home) if one is not None)
        return nothing.problem if hopeful else None

    def _judge(self, ask: _Ask, answer: UserAnswer, server: Server) -> Outcome | _Ask:
        """What a server's answer means: a mailbox, another question, or neither."""
        host = server.place.host
        match answer.code:
            case wire.NO_ERROR:
                return self._locate(ask, answer, host)
            case wire.REDIRECT_ADDRESS:
                domain = find_domain(answer.target)
                trail = ask.trail.follow(answer.target.strip()) if domain is not None else None
                if domain is None or trail is None:
                    return Outcome(f"{host}: sent on to {answer.target[:100]!r}, which leads nowhere")
                return replace(ask, address=answer.target.strip(), domain=domain, via=None, trail=trail)
            case wire.REDIRECT_URL:
                tainted = server.place.tainted
                objection = self._servers.trust(ask.domain).object_to(answer.target, tainted=tainted)
                found = find_place(answer.target, tainted=tainted)
                trail = ask.trail.follow(f"{ask.address} {found[0].base}") if found is not None else None
                if objection or found is None or trail is None:
                    words = objection or "where it was asked about before"
                    return Outcome(f"{host}: sent on to {answer.target[:100]!r}, {words}")
                return replace(ask, via=found[0], trail=trail)
        return Outcome(f"{host}: " + ", ".join(part for part in (answer.code, answer.message) if part))

    def _locate(self, ask: _Ask, answer: UserAnswer, host: str) -> Outcome:
        """The mailbox of an answer without error: its address, and the URL to use for it."""
        said = answer.settings
        order = (wire.EXTERNAL, wire.INTERNAL)
        if self._settings.server == "internal":
            order = (wire.INTERNAL, wire.EXTERNAL)
        urls = [said[name] for name in order if said.get(name)]
        endpoint, objection = choose_endpoint(urls, self._servers.trust(ask.domain))
        if not endpoint:
            return Outcome(f"{host}: known there, but {objection or 'without an EWS URL'}")
        schemas = said.get(wire.SCHEMAS, "")
        if schemas and not _MODERN.search(schemas):
            return Outcome(f"{host}: known there, but its Exchange is older than 2013 ({schemas[:100]})")
        address = said.get(wire.ADDRESS, "") or ask.address
        mailbox = Mailbox(address, endpoint, said.get(wire.GROUPING, ""))
        return Outcome(f"{host}: mailbox {address} at {endpoint}", mailbox)

    async def _resolve_names(self, asks: Sequence[_Ask], outcomes: dict[str, Outcome]) -> None:
        """ResolveNames at `ews_url`, one address a request."""
        url = self._settings.ews_url
        answers = await self._lookup.resolve(url, [ask.address for ask in asks])
        for ask, answer in zip(asks, answers, strict=True):
            if isinstance(answer, ServerLost):
                outcomes[ask.key] = Outcome(answer.words, problem=answer.problem, answered=False)
            elif answer.code == wire.NO_ERROR:
                address = answer.settings[names.ADDRESS]
                outcomes[ask.key] = Outcome(f"mailbox {address}", Mailbox(address, url))
            else:
                words = ", ".join(part for part in (answer.code, answer.message) if part)
                outcomes[ask.key] = Outcome(words)


def _may_have_moved(answer: UserAnswer | ServerLost) -> bool:
    """Another search for the server may help."""
    return isinstance(answer, ServerLost) and (answer.problem is None or answer.problem.kind in _GONE)
