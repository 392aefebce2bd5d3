"""Templates and the few words around numbers; the only file that knows the template library.

Every value is escaped where it is put in; what is not there is an error, not a blank.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pytz.tzinfo import BaseTzInfo

_UNITS = (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("min", timedelta(minutes=1)))


class Rendering:
    """The templates, ready to be filled in."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=PackageLoader("presenced.daemon.web", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "number": number,
            "span": span,
            "percent": percent,
            "sentence": sentence,
            "capital": capital,
        }

    def render(self, template: str, **values: Any) -> str:
        """The template's text, filled in."""
        return self._environment.get_template(template).render(**values)


class Times:
    """Instants as people in one zone read them, at one instant."""

    def __init__(self, zone: BaseTzInfo, now: datetime) -> None:
        self.zone = zone
        self.now = now

    def clock(self, instant: datetime | None, *, seconds: bool = False) -> Markup:
        """Time of day; with the date where that is not today."""
        return self._element(instant, self._text(instant, seconds=seconds), Markup(""))

    def age(self, instant: datetime | None) -> Markup:
        """The same; scripts turn it into how long ago (or how long until) that is."""
        return self._element(instant, self._text(instant, seconds=True), Markup(" data-age"))

    def span(self, start: datetime, end: datetime, *, all_day: bool = False) -> str:
        """From when to when, as short as it is clear."""
        first, last = start.astimezone(self.zone), end.astimezone(self.zone)
        if all_day:
            last -= timedelta(days=1)
            days = f"{first:%a %-d %b}"
            return days if last.date() <= first.date() else f"{days} – {last:%a %-d %b}"
        today = self.now.astimezone(self.zone).date()
        begin = f"{first:%H:%M}" if first.date() == today else f"{first:%a %-d %b %H:%M}"
        return (
            f"{begin} – {last:%H:%M}" if last.date() == first.date() else f"{begin} – {last:%a %-d %b %H:%M}"
        )

    def day(self, instant: datetime) -> str:
        """The day an instant lies in."""
        return f"{instant.astimezone(self.zone):%A, %-d %B}"

    def _text(self, instant: datetime | None, *, seconds: bool) -> str:
        if instant is None:
            return "never"
        local = instant.astimezone(self.zone)
        time = f"{local:%H:%M:%S}" if seconds else f"{local:%H:%M}"
        return time if local.date() == self.now.astimezone(self.zone).date() else f"{local:%-d %b} {time}"

    def _element(self, instant: datetime | None, text: str, more: Markup) -> Markup:
        if instant is None:
            return Markup('<span class="quiet">{}</span>').format(text)
        full = instant.astimezone(self.zone)
        return Markup('<time datetime="{}" title="{}"{}>{}</time>').format(
            full.isoformat(timespec="milliseconds"), f"{full:%A, %-d %B %Y, %H:%M:%S %Z}", more, text
        )


def capital(words: str) -> str:
    """With a capital in front; the rest as it is."""
    return words[:1].upper() + words[1:]


def sentence(words: str) -> str:
    """The words as a sentence, its end included."""
    return capital(words) + ("" if words.endswith((".", "!", "?", ".)")) else ".")


def number(value: float) -> str:
    """Thousands apart by a narrow space."""
    return f"{value:,}".replace(",", "\u202f")


def span(duration: timedelta | float) -> str:
    """A length in its two largest units."""
    left = duration if isinstance(duration, timedelta) else timedelta(seconds=duration)
    if left < timedelta(seconds=1):
        return f"{left / timedelta(milliseconds=1):.0f} ms"
    if left < timedelta(seconds=10):
        return f"{left.total_seconds():.1f} s"
    if left < timedelta(minutes=1):
        return f"{left.total_seconds():.0f} s"
    parts: list[str] = []
    for name, unit in _UNITS:
        count, left = divmod(left, unit)
        if count or parts:
            parts.append(f"{count} {name}")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if not part.startswith("0 "))


def percent(part: float, whole: float) -> str:
    """A share, for a bar."""
    return f"{part / whole * 100:.1f}" if whole else "0"
