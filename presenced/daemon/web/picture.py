"""Where everything stands in the picture of a day; the template `day.svg` draws it.

Pure: a day in, numbers and short texts out. Lengths are user units of the picture, 960 across.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from pytz.tzinfo import BaseTzInfo

from presenced.daemon.web.timeline import Bar, Day, Stretch

WIDTH = 960
BAND_TOP = 22
BAND_HEIGHT = 34
LANE_TOP = BAND_TOP + BAND_HEIGHT + 10
LANE_HEIGHT = 26
LANE_GAP = 5
_BOTTOM = 4
_TEXT_FROM = 44
"""a box narrower than this has no text"""
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    label: str
    """"" for hours without a number"""
    anchor: str


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle with a text in it."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    text: str
    tip: str
    classes: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """All there is to draw of one day."""

    label: str
    height: float
    ticks: tuple[Tick, ...]
    band: tuple[Box, ...]
    bars: tuple[Box, ...]
    now_x: float | None
    hidden: int


def picture(day: Day, zone: BaseTzInfo, now: datetime, label: str) -> Picture:
    """The picture of one day; `label` says what a screen reader says of it."""
    return Picture(
        label,
        LANE_TOP + day.lanes * (LANE_HEIGHT + LANE_GAP) + _BOTTOM,
        _ticks(day, zone),
        tuple(_band_box(day, stretch, zone) for stretch in day.stretches),
        tuple(_bar_box(day, bar, zone) for bar in day.bars),
        _x_of(day, now) if day.start <= now < day.end else None,
        day.hidden,
    )


def _band_box(day: Day, stretch: Stretch, zone: BaseTzInfo) -> Box:
    """What stands in the PBX for a while."""
    shown = stretch.shown
    return _box(
        _x_of(day, stretch.start),
        _x_of(day, stretch.end),
        BAND_TOP,
        BAND_HEIGHT,
        kind=shown.kind if shown else "unknown",
        text=shown.title if shown else "not known",
        tip=f"{_times(stretch.start, stretch.end, zone)}: "
        + (f"{shown.name}, {shown.title}" if shown else "not known"),
        classes="written" if stretch.written else "",
    )


def _bar_box(day: Day, bar: Bar, zone: BaseTzInfo) -> Box:
    """An appointment."""
    return _box(
        _x_of(day, bar.start),
        _x_of(day, bar.end),
        LANE_TOP + bar.lane * (LANE_HEIGHT + LANE_GAP),
        LANE_HEIGHT,
        kind=bar.kind,
        text=bar.title,
        tip=f"{_times(bar.appointment.start, bar.appointment.end, zone)}: {bar.title}"
        + (f" ({bar.why})" if bar.why else ""),
        classes="current" if bar.current else "",
    )


def _x_of(day: Day, instant: datetime) -> float:
    return round((instant - day.start) / (day.end - day.start) * WIDTH, 1)


def _times(start: datetime, end: datetime, zone: BaseTzInfo) -> str:
    return f"{start.astimezone(zone):%H:%M} to {end.astimezone(zone):%H:%M}"


def _box(
    left: float, right: float, y: float, height: float, *, kind: str, text: str, tip: str, classes: str
) -> Box:
    width = round(max(right - left, 2), 1)
    return Box(left, y, width, height, kind, text if width >= _TEXT_FROM else "", tip, classes)


def _ticks(day: Day, zone: BaseTzInfo) -> tuple[Tick, ...]:
    """A line at every hour, a number at every third one on the clock."""
    ticks: list[Tick] = []
    for number in count():
        instant = day.start + number * _HOUR
        if instant > day.end:
            break
        x = _x_of(day, instant)
        local = instant.astimezone(zone)
        at_end = instant == day.end
        label = "24" if at_end else f"{local:%H}" if local.hour % 2 == 0 or number == 0 else ""
        ticks.append(Tick(x, label, "start" if number == 0 else "end" if at_end else "middle"))
    return tuple(ticks)
