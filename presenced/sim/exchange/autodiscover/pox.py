"""The POX dialect ("plain old XML"): one address a request, errors inside HTTP 200 ([MS-OXDSCLI] 2.2)."""

from __future__ import annotations

from datetime import datetime
from uuid import NAMESPACE_DNS, uuid5

from lxml import etree

from presenced.sim.exchange.autodiscover.directory import Directory, Finding
from presenced.sim.exchange.autodiscover.reading import NotXml, escape, parse, text_at
from presenced.sim.exchange.autodiscover.soap import legacy_dn
from presenced.sim.exchange.organisation import SimulatedMailbox

REQUEST = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
RESPONSE = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"

_INVALID_REQUEST = (600, "Invalid Request")
_NO_PROVIDER = (601, "Provider is not available")
_NO_ADDRESS = (500, "The email address can't be found.")


def answer(body: bytes, directory: Directory, now: datetime) -> bytes:
    """The document to send with HTTP 200; `now` stands in errors."""
    try:
        root = parse(body)
    except NotXml:
        return error(*_INVALID_REQUEST, now)
    address, problem = _read(root)
    if problem is not None:
        return error(*problem, now)
    return _found(directory.find(address), directory, now)


def invalid_request(now: datetime) -> bytes:
    """What a GET gets, and everything else that isn't a request."""
    return error(*_INVALID_REQUEST, now)


def error(code: int, message: str, now: datetime) -> bytes:
    """An error document ([MS-OXDSCLI] 2.2.4.1.1.1)."""
    return (
        f'<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="{RESPONSE}"><Response>'
        f'<Error Time="{now:%H:%M:%S.%f}0" Id="2477272013"><ErrorCode>{code}</ErrorCode>'
        f"<Message>{escape(message)}</Message><DebugData/></Error></Response></Autodiscover>"
    ).encode()


def _read(root: etree._Element) -> tuple[str, tuple[int, str] | None]:
    """The address asked for, and what is wrong with the request."""
    request = root.find(f"{{{REQUEST}}}Request")
    if root.tag != f"{{{REQUEST}}}Autodiscover" or request is None:
        return "", _INVALID_REQUEST
    if text_at(request, f"{{{REQUEST}}}AcceptableResponseSchema") != OUTLOOK:
        return "", _NO_PROVIDER
    address = text_at(request, f"{{{REQUEST}}}EMailAddress")
    return address, None if "@" in address else _INVALID_REQUEST


def _found(finding: Finding, directory: Directory, now: datetime) -> bytes:
    if finding.mailbox is not None:
        return _settings(finding.mailbox, directory)
    target = escape(finding.target)
    if finding.code == "RedirectAddress":
        return _account(f"<Action>redirectAddr</Action><RedirectAddr>{target}</RedirectAddr>")
    if finding.code == "RedirectUrl":
        return _account(f"<Action>redirectUrl</Action><RedirectUrl>{target}</RedirectUrl>")
    return error(*(_NO_ADDRESS if finding.code == "InvalidUser" else (501, finding.message)), now)


def _settings(mailbox: SimulatedMailbox, directory: Directory) -> bytes:
    server = f"{uuid5(NAMESPACE_DNS, mailbox.address)}@{mailbox.address.rpartition('@')[2]}"
    grouping = escape(directory.grouping(mailbox))
    protocols = _protocol(
        "EXCH",
        server,
        directory.internal_ews_url(mailbox),
        f"<GroupingInformation>{grouping}</GroupingInformation>" if grouping else "",
    ) + _protocol("EXPR", server, directory.ews_url(mailbox), "<AuthPackage>Ntlm</AuthPackage>")
    user = (
        f"<DisplayName>{escape(mailbox.name)}</DisplayName><LegacyDN>{escape(legacy_dn(mailbox))}</LegacyDN>"
        f"<AutoDiscoverSMTPAddress>{escape(mailbox.address)}</AutoDiscoverSMTPAddress>"
    )
    return _account(f"<Action>settings</Action><MicrosoftOnline>False</MicrosoftOnline>{protocols}", user)


def _protocol(kind: str, server: str, ews_url: str, more: str) -> str:
    """EXCH is for clients inside the network, EXPR for those outside."""
    url = escape(ews_url)
    return (
        f"<Protocol><Type>{kind}</Type><Server>{escape(server)}</Server><ASUrl>{url}</ASUrl>"
        f"<EwsUrl>{url}</EwsUrl>{more}</Protocol>"
    )


def _account(content: str, user: str = "") -> bytes:
    who = f"<User>{user}</User>" if user else ""
    return (
        f'<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="{RESPONSE}"><Response xmlns="{OUTLOOK}">'
        f"{who}<Account><AccountType>email</AccountType>{content}</Account></Response></Autodiscover>"
    ).encode()
