"""From a TZID to a zone: IANA name, Windows name, or the VTIMEZONE that comes with the file.

A name the zone database knows wins over a VTIMEZONE: what exports write there is often this year's rule
for all years. The VTIMEZONE is for names nobody else knows ("Customized Time Zone").
"""

from __future__ import annotations

from pytz.tzinfo import BaseTzInfo

from presenced.core.zones import zone_of
from presenced.ics.grammar import iana_of, split_line, zone_from
from presenced.ics.lines import Component
from presenced.ics.model import IcsProblem

_EXCHANGE_UTC = "tzone://microsoft/utc"
_FREQUENCIES = ("FREQ=YEARLY", "FREQ=MONTHLY")


class Zones:
    """The zones of one file, looked up once each."""

    def __init__(self, name: str, calendar: Component) -> None:
        self._name = name
        self._defined = {
            _plain(_tzid(component)): component
            for component in calendar.children
            if component.name == "VTIMEZONE"
        }
        self._found: dict[str, BaseTzInfo] = {}

    def find(self, tzid: str, line: int) -> BaseTzInfo:
        """The zone of a TZID used in `line`; raises IcsProblem."""
        key = _plain(tzid)
        zone = self._found.get(key)
        if zone is None:
            zone = self._found[key] = self._look_up(key, line)
        return zone

    def _look_up(self, tzid: str, line: int) -> BaseTzInfo:
        known = _known(tzid)
        if known is not None:
            return known
        component = self._defined.get(tzid)
        if component is None:
            raise IcsProblem(
                self._name,
                line,
                f'nobody knows the time zone "{tzid[:80]}" and the file does not describe it',
                "name an IANA or Windows zone, or export with the time zone (VTIMEZONE)",
            )
        try:
            return _described(component)
        except ValueError as error:
            raise IcsProblem(
                self._name,
                component.line,
                f'the description of the time zone "{tzid[:80]}" can\'t be read ({_one_line(str(error))})',
                "name an IANA or Windows zone instead",
            ) from None


def _known(tzid: str) -> BaseTzInfo | None:
    if tzid.casefold() == _EXCHANGE_UTC:
        return zone_of("UTC")
    parts = tzid.strip("/").split("/")
    # "/vendor/version/Europe/Berlin", the "globally unique" names of RFC 5545 section 3.2.19
    suffixes = ["/".join(parts[start:]) for start in range(len(parts) if tzid.startswith("/") else 1)]
    for name in (iana_of(tzid), *suffixes):
        if name:
            try:
                return zone_of(name)
            except ValueError:
                continue
    return None


def _described(component: Component) -> BaseTzInfo:
    for observance in component.children:
        for line in observance.lines:
            if line.name == "RRULE" and not any(word in line.text.upper() for word in _FREQUENCIES):
                raise ValueError(f"line {line.number}: a rule that is neither yearly nor monthly")
    return zone_from(component.text())


def _tzid(component: Component) -> str:
    for line in component.lines:
        if line.name == "TZID":
            try:
                return split_line(line.text).value
            except ValueError:
                return line.text.partition(":")[2]
    return ""


def _plain(tzid: str) -> str:
    return tzid.strip().strip("\"'").strip()


def _one_line(text: str) -> str:
    return " ".join(text.split())[:120]
