"""How each property of a calendar item is written, in the order of the schema.

MS-OXWSCORE ItemType and MS-OXWSMTGS CalendarItemType give the order. What an `Item` doesn't model but a
client once wrote (categories, attendees, a reminder) is kept as it was written and shown again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, timedelta

from presenced.sim.exchange.folders import RIGHTS
from presenced.sim.exchange.ids import write_id
from presenced.sim.exchange.instants import write_instant
from presenced.sim.exchange.organisation import Item, SimulatedMailbox
from presenced.sim.exchange.soap import LEVEL, escape
from presenced.sim.exchange.zones import windows_name, zone_definition


@dataclass(frozen=True, slots=True)
class Angle:
    """From where items are looked at: what their rendering depends on besides themselves."""

    mailbox: SimulatedMailbox
    level: int
    """of the request's version"""
    finding: bool = False
    """FindItem shows less than GetItem"""
    organizer_addresses: bool = True
    body_type: str = ""
    """HTML or Text; "" and Best leave the body as it is"""

    def is_before(self, level: int) -> bool:
        """Whether the request states a version before that level; one that states none is not."""
        return 0 <= self.level < level


Writer = Callable[[Item, Angle], str]
SINCE_2010, SINCE_2013 = LEVEL["Exchange2010"], LEVEL["Exchange2013"]
MADE_BEFORE = timedelta(days=7)
"""generated items have no history: they claim to have been made so long before they start"""


def item_id(item: Item, angle: Angle) -> str:
    """ItemId."""
    key = escape(item.change_key) or "AQAAAA=="
    return f'<t:ItemId Id="{write_id("item", angle.mailbox.address, item.id)}" ChangeKey="{key}"/>'


def parent_folder_id(_: Item, angle: Angle) -> str:
    """ParentFolderId."""
    return f'<t:ParentFolderId Id="{write_id("folder", angle.mailbox.address, "calendar")}"/>'


def subject(item: Item, _: Angle) -> str:
    """Subject."""
    return f"<t:Subject>{escape(item.subject)}</t:Subject>"


def sensitivity(item: Item, _: Angle) -> str:
    """Sensitivity."""
    return f"<t:Sensitivity>{item.sensitivity}</t:Sensitivity>"


def body_type(item: Item) -> str:
    """HTML or Text, by the look of what is stored."""
    return "HTML" if item.body.lstrip()[:1] == "<" else "Text"


def body(item: Item, angle: Angle) -> str:
    """Body, made HTML where that is asked for."""
    stored = body_type(item)
    if angle.body_type == "HTML" and stored == "Text" and item.body:
        return f'<t:Body BodyType="HTML">{escape(f"<html><body>{escape(item.body)}</body></html>")}</t:Body>'
    return f'<t:Body BodyType="{stored}">{escape(item.body)}</t:Body>'


def text_body(item: Item, angle: Angle) -> str:
    """TextBody, since Exchange 2013; only of a body that is text."""
    if angle.is_before(SINCE_2013) or body_type(item) == "HTML":
        return ""
    return f'<t:TextBody BodyType="Text">{escape(item.body)}</t:TextBody>'


def start(item: Item, _: Angle) -> str:
    """Start."""
    return f"<t:Start>{write_instant(item.start)}</t:Start>"


def end(item: Item, _: Angle) -> str:
    """End."""
    return f"<t:End>{write_instant(item.end)}</t:End>"


def original_start(item: Item, _: Angle) -> str:
    """OriginalStart, of occurrences and exceptions only."""
    if item.item_type == "Single":
        return ""
    return f"<t:OriginalStart>{write_instant(item.start)}</t:OriginalStart>"


def is_all_day(item: Item, _: Angle) -> str:
    """IsAllDayEvent."""
    return f"<t:IsAllDayEvent>{'true' if item.all_day else 'false'}</t:IsAllDayEvent>"


def show_as(item: Item, angle: Angle) -> str:
    """LegacyFreeBusyStatus; before Exchange 2013 nobody knew of WorkingElsewhere, it counted as Free."""
    status = item.show_as
    if status == "WorkingElsewhere" and angle.level < SINCE_2013:
        status = "Free"
    return f"<t:LegacyFreeBusyStatus>{status}</t:LegacyFreeBusyStatus>"


def location(item: Item, _: Angle) -> str:
    """Location."""
    return f"<t:Location>{escape(item.location)}</t:Location>" if item.location else ""


def is_cancelled(item: Item, _: Angle) -> str:
    """IsCancelled."""
    return f"<t:IsCancelled>{'true' if item.cancelled else 'false'}</t:IsCancelled>"


def is_meeting(item: Item, _: Angle) -> str:
    """IsMeeting: somebody else is in it."""
    return f"<t:IsMeeting>{'true' if _with_others(item) else 'false'}</t:IsMeeting>"


def is_recurring(item: Item, _: Angle) -> str:
    """IsRecurring."""
    return f"<t:IsRecurring>{'false' if item.item_type == 'Single' else 'true'}</t:IsRecurring>"


def item_type(item: Item, _: Angle) -> str:
    """CalendarItemType."""
    return f"<t:CalendarItemType>{item.item_type}</t:CalendarItemType>"


def my_response(item: Item, _: Angle) -> str:
    """MyResponseType."""
    return f"<t:MyResponseType>{item.my_response}</t:MyResponseType>"


def organizer(item: Item, angle: Angle) -> str:
    """Organizer: the owner of the mailbox where the item names nobody."""
    name, address = item.organizer_name, item.organizer_address
    if not name and not address:
        name, address = angle.mailbox.name, angle.mailbox.address
    told = f"<t:Name>{escape(name or address)}</t:Name>"
    if address and (angle.organizer_addresses or not angle.finding):
        told += (
            f"<t:EmailAddress>{escape(address)}</t:EmailAddress><t:RoutingType>SMTP</t:RoutingType>"
            "<t:MailboxType>OneOff</t:MailboxType>"
        )
    return f"<t:Organizer><t:Mailbox>{told}</t:Mailbox></t:Organizer>"


def duration(item: Item, _: Angle) -> str:
    """Duration, as Exchange writes it: days, hours, minutes, seconds."""
    length = item.end - item.start
    hours, seconds = divmod(length.seconds, 3600)
    days = f"{length.days}D" if length.days else ""
    minutes, seconds = divmod(seconds, 60)
    return f"<t:Duration>P{days}T{hours}H{minutes}M{seconds}S</t:Duration>"


def start_zone(item: Item, angle: Angle) -> str:
    """StartTimeZone; FindItem tells only its name."""
    return _zone("t:StartTimeZone", item, angle)


def end_zone(item: Item, angle: Angle) -> str:
    """EndTimeZone."""
    return _zone("t:EndTimeZone", item, angle)


def _zone(tag: str, item: Item, angle: Angle) -> str:
    if angle.is_before(SINCE_2010):
        return ""
    windows = windows_name(item.zone)
    return zone_definition(windows, item.start.year, tag=tag, full=not angle.finding)


def _zone_id(tag: str) -> Writer:
    def write(item: Item, angle: Angle) -> str:
        if angle.is_before(SINCE_2013):
            return ""
        return f"<t:{tag}>{escape(windows_name(item.zone))}</t:{tag}>"

    return write


def uid(item: Item, _: Angle) -> str:
    """UID, made from the id where the item has none."""
    return f"<t:UID>{escape(item.uid or item.id)}</t:UID>"


def _with_others(item: Item) -> bool:
    extras = item.extras or {}
    invited = any(name in extras for name in ("RequiredAttendees", "OptionalAttendees", "Resources"))
    return invited or item.my_response not in {"Organizer", "Unknown"}


def _made(tag: str) -> Writer:
    def write(item: Item, _: Angle) -> str:
        kept = (item.extras or {}).get("DateTimeCreated")
        return f"<t:{tag}>{kept or write_instant(item.start - MADE_BEFORE)}</t:{tag}>"

    return write


def _kept(tag: str, default: str = "") -> Writer:
    """What a client once wrote, else what an item made without it shows."""
    fallback = f"<t:{tag}>{default}</t:{tag}>" if default else ""

    def write(item: Item, _: Angle) -> str:
        return item.extras.get(tag, fallback) if item.extras else fallback

    return write


def _always(content: str) -> Writer:
    return lambda _item, _angle: content


def _owner(tag: str) -> Writer:
    return lambda _, angle: f"<t:{tag}>{escape(angle.mailbox.name)}</t:{tag}>"


def recurrence_id(item: Item, _: Angle) -> str:
    """RecurrenceId, of occurrences and exceptions only."""
    if item.item_type == "Single":
        return ""
    return f"<t:RecurrenceId>{item.start.astimezone(UTC).isoformat()[:19]}Z</t:RecurrenceId>"


def is_organizer(item: Item, angle: Angle) -> str:
    """IsOrganizer, since Exchange 2013."""
    if angle.is_before(SINCE_2013):
        return ""
    return f"<t:IsOrganizer>{'true' if item.my_response == 'Organizer' else 'false'}</t:IsOrganizer>"


TABLE: tuple[tuple[str, Writer], ...] = (
    ("item:ParentFolderId", parent_folder_id),
    ("item:ItemClass", _kept("ItemClass", "IPM.Appointment")),
    ("item:Subject", subject),
    ("item:Sensitivity", sensitivity),
    ("item:Body", body),
    ("item:DateTimeReceived", _made("DateTimeReceived")),
    ("item:Size", _always("<t:Size>4096</t:Size>")),
    ("item:Categories", _kept("Categories")),
    ("item:Importance", _kept("Importance", "Normal")),
    ("item:InReplyTo", _kept("InReplyTo")),
    ("item:IsSubmitted", _always("<t:IsSubmitted>false</t:IsSubmitted>")),
    ("item:IsDraft", _always("<t:IsDraft>false</t:IsDraft>")),
    ("item:IsFromMe", _always("<t:IsFromMe>false</t:IsFromMe>")),
    ("item:IsResend", _always("<t:IsResend>false</t:IsResend>")),
    ("item:IsUnmodified", _always("<t:IsUnmodified>false</t:IsUnmodified>")),
    ("item:DateTimeSent", _made("DateTimeSent")),
    ("item:DateTimeCreated", _made("DateTimeCreated")),
    ("item:ReminderDueBy", _kept("ReminderDueBy")),
    ("item:ReminderIsSet", _kept("ReminderIsSet", "false")),
    ("item:ReminderMinutesBeforeStart", _kept("ReminderMinutesBeforeStart", "15")),
    ("item:DisplayCc", _always("<t:DisplayCc/>")),
    ("item:DisplayTo", _always("<t:DisplayTo/>")),
    ("item:HasAttachments", _always("<t:HasAttachments>false</t:HasAttachments>")),
    ("item:Culture", _kept("Culture", "en-US")),
    ("item:EffectiveRights", _always(RIGHTS)),
    ("item:LastModifiedName", _owner("LastModifiedName")),
    ("item:LastModifiedTime", _made("LastModifiedTime")),
    ("item:IsAssociated", _always("<t:IsAssociated>false</t:IsAssociated>")),
    ("item:Flag", _kept("Flag")),
    ("item:TextBody", text_body),
    ("calendar:UID", uid),
    ("calendar:RecurrenceId", recurrence_id),
    ("calendar:DateTimeStamp", _made("DateTimeStamp")),
    ("calendar:Start", start),
    ("calendar:End", end),
    ("calendar:OriginalStart", original_start),
    ("calendar:IsAllDayEvent", is_all_day),
    ("calendar:LegacyFreeBusyStatus", show_as),
    ("calendar:Location", location),
    ("calendar:IsMeeting", is_meeting),
    ("calendar:IsCancelled", is_cancelled),
    ("calendar:IsRecurring", is_recurring),
    ("calendar:MeetingRequestWasSent", _always("<t:MeetingRequestWasSent>false</t:MeetingRequestWasSent>")),
    ("calendar:IsResponseRequested", _kept("IsResponseRequested", "true")),
    ("calendar:CalendarItemType", item_type),
    ("calendar:MyResponseType", my_response),
    ("calendar:Organizer", organizer),
    ("calendar:RequiredAttendees", _kept("RequiredAttendees")),
    ("calendar:OptionalAttendees", _kept("OptionalAttendees")),
    ("calendar:Resources", _kept("Resources")),
    ("calendar:ConflictingMeetingCount", _always("<t:ConflictingMeetingCount>0</t:ConflictingMeetingCount>")),
    ("calendar:AdjacentMeetingCount", _always("<t:AdjacentMeetingCount>0</t:AdjacentMeetingCount>")),
    ("calendar:Duration", duration),
    ("calendar:TimeZone", lambda item, _: f"<t:TimeZone>{escape(windows_name(item.zone))}</t:TimeZone>"),
    (
        "calendar:AppointmentSequenceNumber",
        _always("<t:AppointmentSequenceNumber>0</t:AppointmentSequenceNumber>"),
    ),
    (
        "calendar:AppointmentState",
        lambda item, _: f"<t:AppointmentState>{1 if _with_others(item) else 0}</t:AppointmentState>",
    ),
    ("calendar:StartTimeZone", start_zone),
    ("calendar:EndTimeZone", end_zone),
    ("calendar:ConferenceType", _kept("ConferenceType")),
    ("calendar:AllowNewTimeProposal", _kept("AllowNewTimeProposal", "true")),
    ("calendar:IsOnlineMeeting", _kept("IsOnlineMeeting")),
    ("calendar:MeetingWorkspaceUrl", _kept("MeetingWorkspaceUrl")),
    ("calendar:NetShowUrl", _kept("NetShowUrl")),
    ("calendar:StartTimeZoneId", _zone_id("StartTimeZoneId")),
    ("calendar:EndTimeZoneId", _zone_id("EndTimeZoneId")),
    ("calendar:IsOrganizer", is_organizer),
)
"""field URI and writer, in the order of the schema"""

PLACES = {uri: place for place, (uri, _) in enumerate(TABLE)}
EXTENDED_PLACE = PLACES["item:HasAttachments"] + 0.5
"""where extended properties stand among the others"""
ALL = frozenset(PLACES)
DEFAULT = frozenset(
    {
        "item:Subject",
        "item:HasAttachments",
        "calendar:Start",
        "calendar:End",
        "calendar:LegacyFreeBusyStatus",
        "calendar:Location",
        "calendar:CalendarItemType",
        "calendar:Organizer",
    }
)
"""the Default shape of a calendar item"""
NOT_FOUND = frozenset(
    {
        "item:Body",
        "item:TextBody",
        "calendar:RequiredAttendees",
        "calendar:OptionalAttendees",
        "calendar:Resources",
    }
)
"""what only GetItem shows"""
WRITABLE_EXTRAS = frozenset(
    {
        "ItemClass", "Categories", "Importance", "InReplyTo", "ReminderDueBy", "ReminderIsSet",
        "ReminderMinutesBeforeStart", "Culture", "Flag", "IsResponseRequested", "RequiredAttendees",
        "OptionalAttendees", "Resources", "ConferenceType", "AllowNewTimeProposal", "IsOnlineMeeting",
        "MeetingWorkspaceUrl", "NetShowUrl",
    }
)  # fmt: skip
"""elements of CalendarItemType kept as they are written"""
