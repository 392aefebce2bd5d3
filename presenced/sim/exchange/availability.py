"""GetUserAvailability and GetServerTimeZones.

MS-OXWSAVAIL and MS-OXWSGTZ. The times of an availability request and its answer are bare local times of
a zone the client spells out as rules, not by name.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from presenced.sim.exchange.call import Call
from presenced.sim.exchange.instants import read_instant
from presenced.sim.exchange.organisation import Item, SimulatedMailbox
from presenced.sim.exchange.problems import Problem
from presenced.sim.exchange.soap import (
    MESSAGES,
    TYPES,
    Element,
    child,
    children,
    escape,
    failure_content,
    response,
    success,
    text_of,
)
from presenced.sim.exchange.zones import DAYS, WINDOWS_NAMES, Change, changes_in, zone_definition

LONGEST_WINDOW = timedelta(days=62)
VIEWS = frozenset({"MergedOnly", "FreeBusy", "FreeBusyMerged", "Detailed", "DetailedMerged"})
RANKS = {"Free": 0, "WorkingElsewhere": 1, "NoData": 2, "Tentative": 3, "Busy": 4, "OOF": 5}
"""which status wins where appointments overlap"""
DIGITS = {"Free": "0", "Tentative": "1", "Busy": "2", "OOF": "3", "WorkingElsewhere": "4", "NoData": "4"}


@dataclass(frozen=True, slots=True)
class Rule:
    """When one half of the year begins, by the clocks of the other half."""

    bias: timedelta
    """of the whole zone in this half: UTC = local + bias"""
    month: int
    order: int
    """1 to 4, 5 for the last"""
    weekday: int
    """0 is Monday"""
    at: time

    def wall(self, year: int) -> datetime:
        """The moment in a year, naive."""
        first, length = calendar.monthrange(year, self.month)
        day = 1 + (self.weekday - first) % 7 + 7 * (self.order - 1)
        while day > length:
            day -= 7
        return datetime.combine(datetime(year, self.month, day, tzinfo=UTC).date(), self.at)


@dataclass(frozen=True, slots=True)
class RuleZone:
    """A zone by its rules (SerializableTimeZone)."""

    standard: Rule
    daylight: Rule

    def to_utc(self, local: datetime) -> datetime:
        """A naive local time as an instant."""
        start, end = self.daylight.wall(local.year), self.standard.wall(local.year)
        return (local + self._bias(local, start, end)).replace(tzinfo=UTC)

    def to_local(self, instant: datetime) -> datetime:
        """An instant as naive local time."""
        bare = instant.astimezone(UTC).replace(tzinfo=None)
        start = self.daylight.wall(bare.year) + self.standard.bias
        end = self.standard.wall(bare.year) + self.daylight.bias
        return bare - self._bias(bare, start, end)

    def _bias(self, moment: datetime, start: datetime, end: datetime) -> timedelta:
        in_summer = start <= moment < end if start < end else not end <= moment < start
        return self.daylight.bias if in_summer else self.standard.bias


def read_rule_zone(element: Element) -> RuleZone:
    """The `TimeZone` of a request; Problem("ErrorTimeZone") where it makes no sense."""
    try:
        bias = int(text_of(element, "Bias"))
        return RuleZone(_read_rule(element, "StandardTime", bias), _read_rule(element, "DaylightTime", bias))
    except ValueError:
        raise Problem("ErrorTimeZone", "The time zone of the request can't be read.") from None


def _read_rule(element: Element, name: str, bias: int) -> Rule:
    rule = child(element, name)
    return Rule(
        timedelta(minutes=bias + int(text_of(rule, "Bias"))),
        min(max(int(text_of(rule, "Month")), 1), 12),
        min(max(int(text_of(rule, "DayOrder")), 1), 5),
        DAYS.index(text_of(rule, "DayOfWeek")),
        time.fromisoformat(text_of(rule, "Time")),
    )


def get_user_availability(call: Call) -> str:
    """MS-OXWSAVAIL GetUserAvailability: free/busy, merged or in detail; no suggestions."""
    asked = call.request.element
    options = child(asked, "FreeBusyViewOptions")
    zone_element = child(asked, "TimeZone")
    if options is None or zone_element is None:
        raise Problem("ErrorInvalidRequest", "The request is invalid: TimeZone and FreeBusyViewOptions.")
    zone = read_rule_zone(zone_element)
    start = _read_local(text_of(options, "TimeWindow", "StartTime"), zone)
    end = _read_local(text_of(options, "TimeWindow", "EndTime"), zone)
    if not start < end <= start + LONGEST_WINDOW:
        raise Problem("ErrorTimeIntervalTooBig", "The time window is empty or longer than 62 days.")
    minutes = text_of(options, "MergedFreeBusyIntervalInMinutes") or "30"
    step = timedelta(minutes=min(max(int(minutes) if minutes.isdecimal() else 30, 5), 1440))
    kind = text_of(options, "RequestedView") or "FreeBusyMerged"
    if kind not in VIEWS:
        raise Problem("ErrorInvalidFreeBusyViewType", "The requested view is unknown.")

    def answer(element: Element) -> str:
        mailbox = call.organisation.find(text_of(element, "Email", "Address"))
        if mailbox is None:
            problem = Problem("ErrorMailRecipientNotFound", "Unable to resolve e-mail address.")
            return f'<m:ResponseMessage ResponseClass="Error">{failure_content(problem)}</m:ResponseMessage>'
        view = _view(mailbox, mailbox.view(start, end), kind, (start, end, step), zone)
        return (
            '<m:ResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>'
            f"</m:ResponseMessage><m:FreeBusyView>{view}{_working_hours(mailbox, call.now.year)}"
            "</m:FreeBusyView>"
        )

    answers = "".join(
        f"<m:FreeBusyResponse>{answer(element)}</m:FreeBusyResponse>"
        for element in children(asked, "MailboxDataArray")
    )
    return (
        f'<m:GetUserAvailabilityResponse xmlns:m="{MESSAGES}" xmlns:t="{TYPES}">'
        f"<m:FreeBusyResponseArray>{answers}</m:FreeBusyResponseArray></m:GetUserAvailabilityResponse>"
    )


def _read_local(text: str, zone: RuleZone) -> datetime:
    if text.endswith("Z") or "+" in text[10:] or "-" in text[10:]:
        return read_instant(text)
    return zone.to_utc(read_instant(text).replace(tzinfo=None))


def _view(
    mailbox: SimulatedMailbox,
    items: list[Item],
    kind: str,
    window: tuple[datetime, datetime, timedelta],
    zone: RuleZone,
) -> str:
    items = [item for item in items if not item.cancelled]
    parts = [f"<t:FreeBusyViewType>{kind}</t:FreeBusyViewType>"]
    if kind in {"MergedOnly", "FreeBusyMerged", "DetailedMerged"}:
        parts.append(f"<t:MergedFreeBusy>{_merge(items, *window)}</t:MergedFreeBusy>")
    if kind != "MergedOnly":
        detail = _details(mailbox) if kind.startswith("Detailed") else lambda _: ""
        events = "".join(
            f"<t:CalendarEvent><t:StartTime>{zone.to_local(item.start).isoformat()[:19]}</t:StartTime>"
            f"<t:EndTime>{zone.to_local(item.end).isoformat()[:19]}</t:EndTime>"
            f"<t:BusyType>{item.show_as}</t:BusyType>{detail(item)}</t:CalendarEvent>"
            for item in items
        )
        parts.append(f"<t:CalendarEventArray>{events}</t:CalendarEventArray>" if events else "")
    return "".join(parts)


def _merge(items: list[Item], start: datetime, end: datetime, step: timedelta) -> str:
    slots = ["Free"] * -((start - end) // step)
    for item in items:
        first = max(0, (item.start - start) // step)
        last = min(len(slots), -((start - item.end) // step))
        for slot in range(first, last):
            slots[slot] = max(slots[slot], item.show_as, key=lambda status: RANKS.get(status, 0))
    return "".join(DIGITS.get(status, "4") for status in slots)


def _details(mailbox: SimulatedMailbox) -> Callable[[Item], str]:
    def write(item: Item) -> str:
        flags = {
            "IsMeeting": item.organizer_address.casefold() not in {"", mailbox.address.casefold()},
            "IsRecurring": item.item_type != "Single",
            "IsException": item.item_type == "Exception",
            "IsReminderSet": False,
            "IsPrivate": item.sensitivity == "Private",
        }
        told = "".join(f"<t:{name}>{str(flag).lower()}</t:{name}>" for name, flag in flags.items())
        return (
            f"<t:CalendarEventDetails><t:ID>{escape(item.id).encode().hex().upper()}</t:ID>"
            f"<t:Subject>{escape(item.subject)}</t:Subject><t:Location>{escape(item.location)}</t:Location>"
            f"{told}</t:CalendarEventDetails>"
        )

    return write


def _working_hours(mailbox: SimulatedMailbox, year: int) -> str:
    """Monday to Friday, 8 to 17, by the clocks of the mailbox."""
    zone = ZoneInfo(mailbox.zone)
    changes = changes_in(zone, year)
    winter = datetime(year, 1, 1, tzinfo=zone).utcoffset() or timedelta()
    standard, daylight = _half(None, winter), _half(None, winter)
    if len(changes) == 2:
        winter = min(change.after for change in changes)
        standard, daylight = (_half(change, winter) for change in sorted(changes, key=lambda c: c.is_summer))
    return (
        f"<t:WorkingHours><t:TimeZone><t:Bias>{-int(winter.total_seconds() // 60)}</t:Bias>"
        f"<t:StandardTime>{standard}</t:StandardTime><t:DaylightTime>{daylight}</t:DaylightTime>"
        "</t:TimeZone><t:WorkingPeriodArray><t:WorkingPeriod>"
        "<t:DayOfWeek>Monday Tuesday Wednesday Thursday Friday</t:DayOfWeek>"
        "<t:StartTimeInMinutes>480</t:StartTimeInMinutes><t:EndTimeInMinutes>1020</t:EndTimeInMinutes>"
        "</t:WorkingPeriod></t:WorkingPeriodArray></t:WorkingHours>"
    )


def _half(change: Change | None, winter: timedelta) -> str:
    if change is None:
        return (
            "<t:Bias>0</t:Bias><t:Time>00:00:00</t:Time><t:DayOrder>0</t:DayOrder>"
            "<t:Month>0</t:Month><t:DayOfWeek>Sunday</t:DayOfWeek>"
        )
    wall = change.wall
    return (
        f"<t:Bias>{-int((change.after - winter).total_seconds() // 60)}</t:Bias>"
        f"<t:Time>{wall.time().isoformat()}</t:Time>"
        f"<t:DayOrder>{5 if change.occurrence < 0 else change.occurrence}</t:DayOrder>"
        f"<t:Month>{wall.month}</t:Month><t:DayOfWeek>{DAYS[wall.weekday()]}</t:DayOfWeek>"
    )


def get_server_time_zones(call: Call) -> str:
    """MS-OXWSGTZ GetServerTimeZones: those asked for by Windows name, or all."""
    asked = call.request.element
    wanted = [(element.text or "").strip() for element in children(asked, "Ids")]
    full = asked.get("ReturnFullTimeZoneData", "true") in {"true", "1"}
    known = set(WINDOWS_NAMES)
    definitions = "".join(
        zone_definition(name, call.now.year, full=full) for name in (wanted or WINDOWS_NAMES) if name in known
    )
    return response(
        "GetServerTimeZones",
        success("GetServerTimeZones", f"<m:TimeZoneDefinitions>{definitions}</m:TimeZoneDefinitions>"),
    )
