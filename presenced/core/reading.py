"""Reading a note back as a client does (presence.md section 6, the vendor's client in words).

Tolerant: whatever a client would show is read, published slips included. `strict` holds a note
against the grammar instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from presenced.core.activity import Tag
from presenced.core.wording import FREE_WORDS, shape_of, words_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_BELOW = 10**11
_LAST_YEAR = 9999
"""not in every zone"""
_ACTIVITIES = {tag.value: tag for tag in Tag}
_NAMES = frozenset(_ACTIVITIES) | {"len", "until", "whole-day", "next-activity", "next"}


class Unreadable(ValueError):
    """A note no client could make sense of; the text says what is wrong and where."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a note says; None for what it does not have."""

    text: str
    """everything before the tags"""
    activity: Tag | None = None
    title: str | None = None
    until: datetime | None = None
    """aware, UTC"""
    whole_day: bool = False
    next_activity: Tag | None = None
    next_title: str | None = None
    len: tuple[int, ...] | None = None
    next: tuple[int, ...] | None = None


def read(note: str) -> Reading:
    """The tolerant reading; raises Unreadable."""
    words = note.split(" ")
    tags = _tags(words)
    if not tags.keys() & _NAMES:
        free = note.strip(" ")
        if free in FREE_WORDS:
            return Reading(free, Tag.FREE)
        raise Unreadable("neither tags nor a word for free: nothing a client could read")
    length = _numbers(tags, "len", least=1)
    following = _numbers(tags, "next", least=2)
    return Reading(
        text=_text(words),
        activity=next((_ACTIVITIES[name] for name in reversed(tags) if name in _ACTIVITIES), None),
        title=_cut_out(note, "len", 0, length[0]) if length else None,
        until=_instant(tags["until"]) if "until" in tags else None,
        whole_day="whole-day" in tags,
        next_activity=_ACTIVITIES.get(tags.get("next-activity", "")),
        next_title=_cut_out(note, "next", following[0], following[1]) if following else None,
        len=length,
        next=following,
    )


def without_titles(note: str, instead: str) -> str:
    """The text of a note with `instead` where titles stand; a note without any other title as it is.

    For showing notes on record that are older than the wish to hide what they say; no client reads this.
    """
    try:
        reading = read(note)
    except Unreadable:
        return instead if note else note
    if {reading.title, reading.next_title} <= {None, instead}:
        return note
    text = reading.text
    following = [(reading.next[0], reading.next[1])] if reading.next else []
    current = [(0, reading.len[0])] if reading.len else []
    for start, length in (*following, *current):
        text = text[:start] + instead + text[start + length :]
    return text


def display(reading: Reading, language: str, zone: tzinfo, now: datetime) -> str:
    """What a client in that language and zone shows at `now`."""
    words, shape = words_of(language), shape_of(language)
    if reading.title is not None:
        shown = reading.title
    elif reading.activity is not None:
        shown = words.of(reading.activity)
    else:
        shown = " ".join(word.removeprefix("#") for word in reading.text.split(" ") if word)
    if reading.until is not None:
        local = reading.until.astimezone(zone)
        if reading.whole_day:
            when = shape.date(local)
        elif local.date() == now.astimezone(zone).date():
            when = shape.time(local)
        else:
            when = f"{shape.date(local)} {shape.time(local)}"
        shown = words.until_text(shown, when)
    if reading.next_activity is not None:
        title = "" if reading.next_title is None else f": {reading.next_title}"
        shown = f"{shown} ({words.of(reading.next_activity)}{title})"
    return shown


def _is_tag(word: str) -> bool:
    """A word starting with `##` is literal."""
    return word.startswith("#") and not word.startswith("##")


def _tags(words: list[str]) -> dict[str, str]:
    """Name and value of every tag, in order of last appearance: a later tag of the same name wins."""
    tags: dict[str, str] = {}
    for word in filter(_is_tag, words):
        name, _, value = word[1:].partition(":")
        tags.pop(name, None)
        tags[name] = value
    return tags


def _text(words: list[str]) -> str:
    """What stands before the run of tags that ends the note, or before the first tag where none does."""
    end = len(words)
    while end and (_is_tag(words[end - 1]) or not words[end - 1]):
        end -= 1
    if not any(map(_is_tag, words[end:])):
        end = next(index for index, word in enumerate(words) if _is_tag(word))
    return " ".join(words[:end]).rstrip(" ")


def _numbers(tags: Mapping[str, str], name: str, *, least: int) -> tuple[int, ...] | None:
    value = tags.get(name)
    if value is None:
        return None
    numbers = tuple(_number(name, part) for part in value.split(":"))
    if len(numbers) < least:
        raise Unreadable(f"#{name}:{value} needs at least {least} numbers")
    return numbers


def _number(name: str, digits: str) -> int:
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 20:
        raise Unreadable(f"#{name} has {digits!r} where a number must stand")
    return int(digits)


def _instant(value: str) -> datetime:
    number = _number("until", value.partition(":")[0])
    unit = timedelta(seconds=1) if number < _SECONDS_BELOW else timedelta(milliseconds=1)
    try:
        instant = _EPOCH + number * unit
    except OverflowError:
        instant = datetime.max.replace(tzinfo=UTC)
    if instant.year == _LAST_YEAR:
        raise Unreadable(f"#until:{value} is later than any calendar goes")
    return instant


def _cut_out(note: str, name: str, start: int, length: int) -> str:
    if start + length > len(note):
        raise Unreadable(
            f"#{name} points to code points {start} to {start + length}, the string has {len(note)}"
        )
    return note[start : start + length]
