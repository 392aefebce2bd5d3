"""A landscape of servers for tests of discovery, behind a carrier that touches no network.

A host is a function from request to reply; hosts that do not exist are unknown names. `Exchange` speaks
autodiscover in all dialects and ResolveNames, written from Microsoft's documentation.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import unquote, urlsplit
from xml.sax.saxutils import escape

from lxml import etree

from presenced.calendars.carrier import CarrierProblem, Reply, Stream


@dataclass(frozen=True, slots=True)
class Request:
    """What the carrier was asked to carry."""

    method: str
    url: str
    body: bytes
    headers: Mapping[str, str]
    budget: str
    signed_in: bool

    @property
    def path(self) -> str:
        parts = urlsplit(self.url)
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def texts(self, name: str) -> list[str]:
        """Texts of the body's elements of this local name."""
        return [one.text or "" for one in etree.fromstring(self.body).iter("{*}" + name)]


Host = Callable[[Request], Reply]


@dataclass(slots=True)
class Landscape:
    """The `Carrier` of carrier.py over `hosts`: origin (`https://name`) -> what it answers."""

    hosts: dict[str, Host]
    asked: list[Request] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0

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
        assert within is not None
        request = Request(method, url, body, headers or {}, budget, signed_in)
        self.asked.append(request)
        parts = urlsplit(url)
        assert parts.scheme == "https" or not signed_in, f"credentials in the clear: {url}"
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(0)
            host = self.hosts.get(f"{parts.scheme}://{parts.netloc}")
            if host is None:
                raise CarrierProblem("dns", f"the name {parts.hostname} is unknown")
            reply = host(request)
        finally:
            self.under_way -= 1
        if reply.status == 401 and signed_in:
            raise CarrierProblem("sign-in", f"{parts.netloc} refused the password", remedy="correct it")
        return reply

    def open_stream(self, url: str, **_: object) -> AbstractAsyncContextManager[Stream]:
        raise NotImplementedError

    def hold(self, budget: str, duration: timedelta) -> None:
        raise NotImplementedError

    def urls(self) -> list[str]:
        return [request.url for request in self.asked]

    def batches(self) -> list[int]:
        """Sizes of the GetUserSettings requests."""
        return [len(one.texts("Mailbox")) for one in self.asked if one.url.endswith(".svc")]


def nothing_here(request: Request) -> Reply:
    """A web server without autodiscover."""
    return Reply(404, {}, b"<html>not found</html>")


def status(code: int, **headers: str) -> Host:
    return lambda request: Reply(code, {name.replace("_", "-"): value for name, value in headers.items()})


def failing(kind: str, retry_after: timedelta | None = None) -> Host:
    def fail(request: Request) -> Reply:
        raise CarrierProblem(kind, f"{kind} trouble", remedy="repair it", retry_after=retry_after)

    return fail


@dataclass(slots=True)
class User:
    """What an Exchange knows of an address."""

    primary: str = ""
    external: str = "https://mail.example.com/EWS/Exchange.asmx"
    internal: str = "https://inside.example.com/EWS/Exchange.asmx"
    grouping: str = "Site1"
    schemas: str = "Exchange2007, Exchange2010, Exchange2013, Exchange2016"
    redirect_address: str = ""
    redirect_url: str = ""


@dataclass(slots=True)
class Exchange:
    """A server that knows `users` (address -> User)."""

    users: dict[str, User] = field(default_factory=dict)
    most: int = 10_000
    """users in a request"""
    absent: frozenset[str] = frozenset()
    """dialects it does not have: `.svc`, `.xml`, `.json`"""
    refusing: frozenset[str] = frozenset()
    """addresses that make it refuse a whole request"""

    def __call__(self, request: Request) -> Reply:
        if any(end in request.path for end in self.absent):
            return nothing_here(request)
        if request.path == "/autodiscover/autodiscover.svc":
            return self._soap(request)
        if request.path == "/autodiscover/autodiscover.xml":
            return self._pox(request)
        found = re.fullmatch(r"/autodiscover/autodiscover\.json/v1\.0/(.*)\?Protocol=(\w+)", request.path)
        return self._json(unquote(found[1]), found[2]) if found else nothing_here(request)

    def find(self, address: str) -> User | None:
        return next(
            (user for name, user in self.users.items() if name.casefold() == address.casefold()), None
        )

    def _soap(self, request: Request) -> Reply:
        assert request.headers["SOAPAction"].strip('"').endswith("/Autodiscover/GetUserSettings")
        addresses = request.texts("Mailbox")
        if len(addresses) > self.most or self.refusing & set(addresses):
            return soap("<ErrorCode>InvalidRequest</ErrorCode><ErrorMessage>too many</ErrorMessage>")
        users = "".join(f"<UserResponse>{self._user(address)}</UserResponse>" for address in addresses)
        return soap(f"<ErrorCode>NoError</ErrorCode><ErrorMessage/><UserResponses>{users}</UserResponses>")

    def _user(self, address: str) -> str:
        user = self.find(address)
        if user is None:
            return "<ErrorCode>InvalidUser</ErrorCode><ErrorMessage>no such user</ErrorMessage>"
        if user.redirect_address:
            return f"<ErrorCode>RedirectAddress</ErrorCode><RedirectTarget>{user.redirect_address}</RedirectTarget>"
        if user.redirect_url:
            return f"<ErrorCode>RedirectUrl</ErrorCode><RedirectTarget>{user.redirect_url}</RedirectTarget>"
        settings = "".join(
            f"<UserSetting><Name>{name}</Name><Value>{escape(value)}</Value></UserSetting>"
            for name, value in (
                ("AutoDiscoverSMTPAddress", user.primary),
                ("ExternalEwsUrl", user.external),
                ("InternalEwsUrl", user.internal),
                ("GroupingInformation", user.grouping),
                ("EwsSupportedSchemas", user.schemas),
            )
            if value
        )
        return f"<ErrorCode>NoError</ErrorCode><ErrorMessage>No error.</ErrorMessage><UserSettings>{settings}</UserSettings>"

    def _pox(self, request: Request) -> Reply:
        [address] = request.texts("EMailAddress")
        user = self.find(address)
        if user is None:
            return pox("<Error Id='1' Time='t'><ErrorCode>500</ErrorCode><Message>unknown</Message></Error>")
        if user.redirect_address:
            action = f"<Action>redirectAddr</Action><RedirectAddr>{user.redirect_address}</RedirectAddr>"
            return pox(f"<Account>{action}</Account>")
        if user.redirect_url:
            action = f"<Action>redirectUrl</Action><RedirectUrl>{user.redirect_url}</RedirectUrl>"
            return pox(f"<Account>{action}</Account>")
        primary = f"<AutoDiscoverSMTPAddress>{user.primary}</AutoDiscoverSMTPAddress>" if user.primary else ""
        protocols = "".join(
            f"<Protocol><Type>{kind}</Type><EwsUrl>{escape(url)}</EwsUrl></Protocol>"
            for kind, url in (("EXCH", user.internal), ("EXPR", user.external))
            if url
        )
        return pox(f"<User>{primary}</User><Account><Action>settings</Action>{protocols}</Account>")

    def _json(self, address: str, protocol: str) -> Reply:
        user = self.find(address)
        if user is None:
            return Reply(404, {}, json.dumps({"ErrorCode": "UserNotFound", "ErrorMessage": "no"}).encode())
        own = "https://autodiscover.example.com/autodiscover/autodiscover.xml"
        url = (user.redirect_url or own) if protocol == "AutodiscoverV1" else user.external
        return Reply(200, {}, json.dumps({"Protocol": protocol, "Url": url}).encode())


def soap(response: str) -> Reply:
    """A GetUserSettings answer with prefixes of its own."""
    return Reply(
        200,
        {},
        f"""<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>
        <x:GetUserSettingsResponseMessage xmlns:x="http://schemas.microsoft.com/exchange/2010/Autodiscover">
        <x:Response xmlns="http://schemas.microsoft.com/exchange/2010/Autodiscover">{response}</x:Response>
        </x:GetUserSettingsResponseMessage></s:Body></s:Envelope>""".encode(),
    )


def pox(response: str) -> Reply:
    outlook = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
    return Reply(
        200,
        {},
        f"""<?xml version="1.0" encoding="utf-8"?>
        <Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006">
        <Response xmlns="{outlook}">{response}</Response></Autodiscover>""".encode(),
    )
