"""A bare EWS client for the tests: bytes out, an lxml tree in, nothing shared with any real client."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from aiohttp import ClientResponse, ClientSession
from lxml import etree

from presenced.sim.exchange.organisation import Item
from presenced.sim.exchange.server import SimulatedExchange

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
M = "http://schemas.microsoft.com/exchange/services/2006/messages"
T = "http://schemas.microsoft.com/exchange/services/2006/types"
NAMESPACES = {"s": SOAP, "m": M, "t": T}
CALENDAR = '<t:DistinguishedFolderId Id="calendar"/>'
FIELDS = (
    "item:Subject",
    "item:Sensitivity",
    "calendar:Start",
    "calendar:End",
    "calendar:IsAllDayEvent",
    "calendar:LegacyFreeBusyStatus",
    "calendar:IsCancelled",
    "calendar:MyResponseType",
    "calendar:Organizer",
)


def schema_folder() -> Path | None:
    """Where Microsoft's schema lies, None where nobody has put it."""
    named = os.environ.get("PRESENCED_EWS_SCHEMA")
    folder = Path(named) if named else Path(__file__).parents[4] / "shared" / "ews-schema"
    return folder if (folder / "messages.xsd").is_file() else None


def at(text: str) -> datetime:
    """An instant of a test, UTC: `2026-11-16 09:30`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def item(name: str, start: str, end: str, **more: object) -> Item:
    """An item called and keyed `name`."""
    return Item(name, "", name, at(start), at(end), **more)  # type: ignore[arg-type]


def find_item(
    start: str = "2026-11-16T00:00:00Z",
    end: str = "2026-11-17T00:00:00Z",
    *,
    fields: tuple[str, ...] = FIELDS,
    folder: str = CALENDAR,
    most: str = "",
) -> str:
    """A FindItem with a CalendarView."""
    more = "".join(f'<t:FieldURI FieldURI="{uri}"/>' for uri in fields)
    limit = f' MaxEntriesReturned="{most}"' if most else ""
    return (
        '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>'
        + (f"<t:AdditionalProperties>{more}</t:AdditionalProperties>" if more else "")
        + f'</m:ItemShape><m:CalendarView{limit} StartDate="{start}" EndDate="{end}"/>'
        f"<m:ParentFolderIds>{folder}</m:ParentFolderIds></m:FindItem>"
    )


EVENTS = (
    "CreatedEvent",
    "ModifiedEvent",
    "MovedEvent",
    "DeletedEvent",
    "CopiedEvent",
    "FreeBusyChangedEvent",
)


def subscribe(*, events: tuple[str, ...] = EVENTS, folder: str = CALENDAR) -> str:
    """A streaming Subscribe."""
    types = "".join(f"<t:EventType>{event}</t:EventType>" for event in events)
    return (
        f"<m:Subscribe><m:StreamingSubscriptionRequest><t:FolderIds>{folder}</t:FolderIds>"
        f"<t:EventTypes>{types}</t:EventTypes></m:StreamingSubscriptionRequest></m:Subscribe>"
    )


def streaming(*ids: str, minutes: int = 30) -> str:
    """A GetStreamingEvents."""
    told = "".join(f"<t:SubscriptionId>{id_}</t:SubscriptionId>" for id_ in ids)
    return (
        f"<m:GetStreamingEvents><m:SubscriptionIds>{told}</m:SubscriptionIds>"
        f"<m:ConnectionTimeout>{minutes}</m:ConnectionTimeout></m:GetStreamingEvents>"
    )


def request(body: str, *, mailbox: str = "", version: str = "Exchange2016") -> bytes:
    """A whole SOAP request."""
    head = f'<t:RequestServerVersion Version="{version}"/>' if version else ""
    if mailbox:
        head += (
            "<t:ExchangeImpersonation><t:ConnectingSID>"
            f"<t:PrimarySmtpAddress>{mailbox}</t:PrimarySmtpAddress>"
            "</t:ConnectingSID></t:ExchangeImpersonation>"
        )
    return (
        f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{SOAP}" xmlns:m="{M}" xmlns:t="{T}">'
        f"<s:Header>{head}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    cookies: dict[str, str]
    body: bytes

    @property
    def root(self) -> etree._Element:
        return etree.fromstring(self.body)

    @property
    def codes(self) -> list[str]:
        """The response codes, in order; of a fault its one."""
        return [element.text for element in self.root.iterfind(".//{*}ResponseCode")]

    def all(self, path: str) -> list[etree._Element]:
        """The elements of an XPath with the prefixes s, m and t."""
        found: list[etree._Element] = self.root.xpath(path, namespaces=NAMESPACES)
        return found

    def text(self, path: str) -> str:
        """The text of the one element of that path."""
        (found,) = self.all(path)
        return found.text or ""

    def value(self, name: str) -> str:
        """A named value of MessageXml."""
        return self.text(f"//t:Value[@Name='{name}']")


class OpenStream:
    """A streamed answer, read envelope by envelope."""

    def __init__(self, response: ClientResponse) -> None:
        self.response = response
        self.pieces: list[bytes] = []
        self._buffer = b""

    async def envelope(self) -> etree._Element | None:
        """The next envelope, None at the end of the body."""
        while (end := self._buffer.find(b"</Envelope>")) < 0:
            piece = await self.response.content.readany()
            if not piece:
                assert not self._buffer, "the body ends inside an envelope"
                return None
            self.pieces.append(piece)
            self._buffer += piece
        end += len(b"</Envelope>")
        envelope, self._buffer = self._buffer[:end], self._buffer[end:]
        return etree.fromstring(envelope)

    async def status(self) -> str:
        """ConnectionStatus of the next envelope, "" where it has none."""
        envelope = await self.envelope()
        assert envelope is not None
        return envelope.findtext(f".//{{{M}}}ConnectionStatus") or ""

    async def events(self) -> list[tuple[str, str]]:
        """Subscription id and name of every event of the next envelope."""
        envelope = await self.envelope()
        assert envelope is not None
        return [
            (notification[0].text, event.tag.rpartition("}")[2])
            for notification in envelope.iterfind(f".//{{{M}}}Notification")
            for event in notification[1:]
        ]


async def until(condition: Callable[[], object], *, turns: int = 100_000) -> None:
    """Let the loop turn until the condition holds; gives up after a great many turns."""
    for _ in range(turns):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("the loop turned in vain")


class RawClient:
    """Sends requests to one endpoint."""

    def __init__(self, session: ClientSession, exchange: SimulatedExchange) -> None:
        self.session = session
        self.exchange = exchange

    async def send(
        self,
        body: str | bytes | BinaryIO,
        *,
        mailbox: str = "",
        version: str = "Exchange2016",
        headers: dict[str, str] | None = None,
        url: str = "",
    ) -> Answer:
        """One request and its whole answer."""
        if isinstance(body, str):
            body = request(body, mailbox=mailbox, version=version)
        sent = {"Content-Type": "text/xml; charset=utf-8", **(headers or {})}
        async with self.session.post(url or self.exchange.ews_url, data=body, headers=sent) as response:
            content = await response.read()
            cookies = {name: morsel.value for name, morsel in response.cookies.items()}
            return Answer(response.status, dict(response.headers), cookies, content)

    async def subscribed(self, mailbox: str, *, headers: dict[str, str] | None = None, **how: object) -> str:
        """The id of a new streaming subscription."""
        answer = await self.send(subscribe(**how), mailbox=mailbox, headers=headers)  # type: ignore[arg-type]
        assert answer.codes == ["NoError"]
        return answer.text("//m:SubscriptionId")

    @asynccontextmanager
    async def stream(
        self, *ids: str, mailbox: str, minutes: int = 30, headers: dict[str, str] | None = None
    ) -> AsyncIterator[OpenStream]:
        """An open GetStreamingEvents."""
        sent = {"Content-Type": "text/xml; charset=utf-8", **(headers or {})}
        body = request(streaming(*ids, minutes=minutes), mailbox=mailbox)
        async with self.session.post(self.exchange.ews_url, data=body, headers=sent) as response:
            yield OpenStream(response)
