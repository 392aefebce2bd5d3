"""The note: the text a person reads and the tags a client reads (presence.md sections 4 and 5)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from pytz.tzinfo import BaseTzInfo

from presenced.core.activity import Mapped, Tag
from presenced.core.appointment import Appointment
from presenced.core.title import shown_title
from presenced.core.wording import Shape, Words, shape_of, words_of
from presenced.core.zones import zone_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PREFIXED = {Mapped.BUSY: Tag.BUSY, Mapped.DND: Tag.BUSY, Mapped.AWAY: Tag.AWAY}


class Shown(NamedTuple):
    """An appointment that counts, with what it is mapped to."""

    appointment: Appointment
    mapped: Mapped


class Until(NamedTuple):
    """The instant in the text, and whether the appointment it belongs to is all-day."""

    instant: datetime
    whole_day: bool


class _Phrases(NamedTuple):
    """What a note says about a mapped presence in one language."""

    tag: str
    opening: str
    """what stands before the next Appointment-Info"""
    next_tag: str


@lru_cache(maxsize=128)
def _phrases_of(words: Words) -> Mapping[Mapped, _Phrases]:
    prefixes = {mapped: f"{words.of(tag)}: " for mapped, tag in _PREFIXED.items()}
    return {
        mapped: _Phrases(f" #{mapped.tag}", f" ({prefixes.get(mapped, '')}", f" #next-activity:{mapped.tag}")
        for mapped in Mapped
    }


class NoteStyle:
    """How notes are written: language, presence time zone, length of titles, unit of `#until`."""

    __slots__ = ("_phrases", "language", "max_title_length", "shape", "until_unit", "words", "zone")

    def __init__(
        self, language: str, timezone: str, max_title_length: int = 128, until_unit: str = "milliseconds"
    ) -> None:
        """Raises ValueError for a language Babel does not know or an unknown zone."""
        self.language = language
        self.words: Words = words_of(language)
        self.shape: Shape = shape_of(language)
        self.zone: BaseTzInfo = zone_of(timezone)
        self.max_title_length = max_title_length
        self.until_unit = timedelta(milliseconds=1) if until_unit == "milliseconds" else timedelta(seconds=1)
        self._phrases = _phrases_of(self.words)

    def title_of(self, shown: Shown) -> str:
        """The Appointment-Info: the title, "Private", or the activity's word for a title nobody could see."""
        appointment = shown.appointment
        if appointment.subject is None or appointment.sensitivity.hides_title:
            return self.words.private
        return shown_title(appointment.subject, self.max_title_length) or self.words.of(shown.mapped.tag)

    def write(self, current: Shown | None, until: Until | None, following: Shown | None, today: date) -> str:
        """The note for what is current, until when, and what comes after it; `today` is the local date."""
        words = self.words
        if until is None:
            return words.free
        when, tags = _when(self.shape, self.zone, self.until_unit, until, today)
        if current is None:
            text = words.until_text(words.free, when)
            tags = f" #free{tags}"
        else:
            title = self.title_of(current)
            text = words.until_text(title, when)
            tags = f"{self._phrases[current.mapped].tag} #len:{len(title)}:{_octets(title)}{tags}"
        if following is None:
            return text + tags
        phrases = self._phrases[following.mapped]
        lead = text + phrases.opening
        title = self.title_of(following)
        lengths = f"{len(lead)}:{len(title)}:{_octets(lead)}:{_octets(title)}"
        return f"{lead}{title}){tags}{phrases.next_tag} #next:{lengths}"


def _octets(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


@lru_cache(maxsize=4096)
def _when(shape: Shape, zone: BaseTzInfo, unit: timedelta, until: Until, today: date) -> tuple[str, str]:
    """All that an instant says in a note, as text and as tags.

    Time alone today, date and time on another day, the date alone for an all-day appointment.
    """
    local = until.instant.astimezone(zone)
    tags = f" #until:{(until.instant - _EPOCH) // unit}"
    if until.whole_day:
        return shape.date(local), f"{tags} #whole-day"
    if local.date() == today:
        return shape.time(local), tags
    return f"{shape.date(local)} {shape.time(local)}", tags
