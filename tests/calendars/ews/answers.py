"""What a server might send: small builders of EWS answers for the tests of this door."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

S = "http://schemas.xmlsoap.org/soap/envelope/"
M = "http://schemas.microsoft.com/exchange/services/2006/messages"
T = "http://schemas.microsoft.com/exchange/services/2006/types"
E = "http://schemas.microsoft.com/exchange/services/2006/errors"


def envelope(body: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<s:Envelope xmlns:s="{S}"><s:Header>'
        f'<h:ServerVersionInfo xmlns:h="{T}" MajorVersion="15"/></s:Header>'
        f'<s:Body xmlns:m="{M}" xmlns:t="{T}">{body}</s:Body></s:Envelope>'
    ).encode()


def answer(
    operation: str, content: str = "", *, code: str = "NoError", text: str = "", xml: str = ""
) -> bytes:
    kind = "Success" if code == "NoError" else "Error"
    words = f"<m:MessageText>{escape(text)}</m:MessageText>" if text else ""
    details = f"<m:MessageXml>{xml}</m:MessageXml>" if xml else ""
    return envelope(
        f"<m:{operation}Response><m:ResponseMessages>"
        f'<m:{operation}ResponseMessage ResponseClass="{kind}">{words}'
        f"<m:ResponseCode>{code}</m:ResponseCode>{details}{content}"
        f"</m:{operation}ResponseMessage></m:ResponseMessages></m:{operation}Response>"
    )


def item(
    *,
    item_id: str | None = "item-1",
    start: str | None = "2026-11-16T09:00:00Z",
    end: str | None = "2026-11-16T10:00:00Z",
    **fields: str,
) -> str:
    """A CalendarItem; a field given as "" is left out."""
    parts = [] if item_id is None else [f'<t:ItemId Id={quoteattr(item_id)} ChangeKey="k"/>']
    given = {
        "Subject": "Budget",
        "Sensitivity": "Normal",
        **({} if start is None else {"Start": start}),
        **({} if end is None else {"End": end}),
        "IsAllDayEvent": "false",
        "LegacyFreeBusyStatus": "Busy",
        **fields,
    }
    for name, value in given.items():
        if name == "StartTimeZone":
            parts.append(f'<t:StartTimeZone Id={quoteattr(value)} Name="whatever"/>')
        elif name == "Organizer":
            parts.append(f"<t:Organizer><t:Mailbox>{value}</t:Mailbox></t:Organizer>")
        elif value:
            parts.append(f"<t:{name}>{escape(value)}</t:{name}>")
    return f"<t:CalendarItem>{''.join(parts)}</t:CalendarItem>"


def found(*items: str, last: bool = True) -> bytes:
    return answer(
        "FindItem",
        f'<m:RootFolder TotalItemsInView="{len(items)}" IncludesLastItemInRange="{str(last).lower()}">'
        f"<t:Items>{''.join(items)}</t:Items></m:RootFolder>",
    )


def subscribed(subscription: str) -> bytes:
    return answer("Subscribe", f"<m:SubscriptionId>{escape(subscription)}</m:SubscriptionId>")


def synced(cursor: str, changes: int = 0, *, last: bool = True) -> bytes:
    change = '<t:Update><t:CalendarItem><t:ItemId Id="x"/></t:CalendarItem></t:Update>' * changes
    return answer(
        "SyncFolderItems",
        f"<m:SyncState>{cursor}</m:SyncState>"
        f"<m:IncludesLastItemInRange>{str(last).lower()}</m:IncludesLastItemInRange>"
        f"<m:Changes>{change}</m:Changes>",
    )


def streamed(
    content: str = "", *, status: str = "OK", code: str = "NoError", dead: Sequence[str] = ()
) -> bytes:
    ids = "".join(f"<m:SubscriptionId>{one}</m:SubscriptionId>" for one in dead)
    return answer(
        "GetStreamingEvents",
        (f"<m:Notifications>{content}</m:Notifications>" if content else "")
        + (f"<m:ErrorSubscriptionIds>{ids}</m:ErrorSubscriptionIds>" if ids else "")
        + (f"<m:ConnectionStatus>{status}</m:ConnectionStatus>" if status else ""),
        code=code,
    )


def notification(subscription: str, *events: str) -> str:
    inner = "".join(
        f"<t:{event}><t:Watermark>w</t:Watermark></t:{event}>"
        if event == "StatusEvent"
        else f"<t:{event}><t:TimeStamp>2026-11-16T08:00:00Z</t:TimeStamp>"
        f'<t:ItemId Id="i"/><t:ParentFolderId Id="f"/></t:{event}>'
        for event in events
    )
    return f"<m:Notification><t:SubscriptionId>{subscription}</t:SubscriptionId>{inner}</m:Notification>"


def changed(subscription: str, *events: str) -> bytes:
    return streamed(notification(subscription, *(events or ("ModifiedEvent",))))


def kept_alive(subscription: str) -> bytes:
    return streamed(notification(subscription, "StatusEvent"))


def fault(code: str, text: str = "No.", *, backoff: int | None = None, prefix: str = "a") -> bytes:
    value = "" if backoff is None else f'<t:Value Name="BackOffMilliseconds">{backoff}</t:Value>'
    xml = f'<t:MessageXml xmlns:t="{T}">{value}</t:MessageXml>' if value else ""
    return (
        f'<s:Envelope xmlns:s="{S}"><s:Body><s:Fault>'
        f'<faultcode xmlns:{prefix}="{T}">{prefix}:{code}</faultcode>'
        f'<faultstring xml:lang="en-US">{text}</faultstring>'
        f'<detail><e:ResponseCode xmlns:e="{E}">{code}</e:ResponseCode>'
        f'<e:Message xmlns:e="{E}">{text}</e:Message>{xml}</detail>'
        "</s:Fault></s:Body></s:Envelope>"
    ).encode()


def backoff_xml(milliseconds: int, **values: str) -> str:
    more = "".join(f'<t:Value Name="{name}">{value}</t:Value>' for name, value in values.items())
    return f'<t:Value Name="BackOffMilliseconds">{milliseconds}</t:Value>{more}'
