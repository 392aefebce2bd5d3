"""Holding a note against the grammar (grammar/presence.abnf, which binds the wording of `en`).

Other languages are held to the same structure with their own words and their locale's dates and times.
Byte counts are not compared: published strings have slips there, and code points say it all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import regex

from presenced.core.reading import Reading, Unreadable, read
from presenced.core.wording import locale_of, shape_of, words_of

_TAGS = regex.compile(
    r" #(?:free|busy|away)(?P<len> #len:\d+:\d+)? #until:\d+(?: #whole-day)?"
    r"(?P<next> #next-activity:(?:free|busy|away)(?: #next:\d+:\d+:\d+:\d+)?)?\Z",
    regex.ASCII,
)
_DATE = r"(?:0[1-9]|[12]\d|3[01])[./](?:0[1-9]|1[0-2])[./]\d{4}"
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d(?: ?(?:a\.m\.|p\.m\.))?"
_DIGITS = {
    "{d:02}": r"\d\d",
    "{M:02}": r"\d\d",
    "{y:04}": r"\d{4}",
    "{m:02}": r"\d\d",
    "{a}": r"(?:a\.m\.|p\.m\.)",
}
_INFO = r"[^#\p{Cc} ][^\p{Cc} ]*(?: [^#\p{Cc} ][^\p{Cc} ]*)*"


def read_strictly(note: str, language: str = "en") -> Reading:
    """The reading of a grammatical note; raises Unreadable, saying which part is not."""
    words = words_of(language)
    if note == words.free:
        return read(note)
    tags = _TAGS.search(note)
    if tags is None:
        raise Unreadable("the note does not end in well-formed tags, in their order, one space before each")
    reading = read(note)
    text = note[: tags.start()]
    if reading.len is None:
        start, what = 0, words.free
        if tags["next"] is None:
            raise Unreadable("free until some time, but not what comes then")
    else:
        start, what = reading.len[0], text[: reading.len[0]]
        if not regex.fullmatch(_INFO, what):
            raise Unreadable(f"code points 0 to {start} are not a title")
    if not text.startswith(what):
        raise Unreadable(f"the text begins neither with {words.free!r} nor with a title that #len counts")
    shape = _shape(language)
    if reading.next is None:
        well_formed = (shape.with_next if tags["next"] else shape.alone).fullmatch(text, len(what))
    else:
        begin, end = reading.next[0], reading.next[0] + reading.next[1]
        well_formed = (
            shape.before_next.fullmatch(text, len(what), begin)
            and regex.fullmatch(_INFO, text[begin:end])
            and text[end:] == ")"
        )
    if not well_formed:
        raise Unreadable(f"from code point {start} on the text is not: until when, and what is next")
    return reading


@dataclass(frozen=True, slots=True)
class _Shape:
    """What follows the Appointment-Info or the word for free."""

    alone: regex.Pattern[str]
    """nothing comes next"""
    before_next: regex.Pattern[str]
    """up to the next Appointment-Info"""
    with_next: regex.Pattern[str]
    """the whole, where no `#next` tells where the next one stands"""


@lru_cache(maxsize=64)
def _shape(language: str) -> _Shape:
    words = words_of(language)
    before, _, behind = words.until.partition("$0")[2].partition("$1")
    alone = regex.escape(before) + _date_time(language) + regex.escape(behind)
    prefix = "|".join(regex.escape(f"{word}: ") for word in (words.busy, words.away))
    before_next = rf"{alone} \((?:{prefix})?"
    return _Shape(regex.compile(alone), regex.compile(before_next), regex.compile(rf"{before_next}{_INFO}\)"))


def _date_time(language: str) -> str:
    if str(locale_of(language)) == "en":
        date, time = _DATE, _TIME
    else:
        shape = shape_of(language)
        date, time = _as_pattern(shape.date_template), _as_pattern(shape.time_template)
    return f"(?:{date} {time}|{date}|{time})"


def _as_pattern(template: str) -> str:
    parts = regex.split(r"(\{[^{}]*\})", template)
    return "".join(
        _DIGITS.get(part, r"\d{1,2}") if part.startswith("{") else regex.escape(part) for part in parts
    )
