"""Holding a note against the grammar (grammar/presence.abnf, which binds the wording of `en`).

Other languages are held to the same structure with their own words and their locale's dates and times.
Byte counts are not compared: published strings have slips there, and code points say it all.
"""

from __future__ import annotations

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
    frame = _frame(language)
    match = frame.fullmatch(text, len(what)) if text.startswith(what) else None
    if match is None:
        raise Unreadable(f"from code point {start} on the text is not: what, until when, and what is next")
    if (match["next"] is None) != (tags["next"] is None):
        raise Unreadable("text and tags disagree on whether something comes next")
    if reading.next is not None and match.span("next") != (
        reading.next[0],
        reading.next[0] + reading.next[1],
    ):
        raise Unreadable(f"#next points to code points {reading.next[0]} on, the next title stands elsewhere")
    return reading


@lru_cache(maxsize=64)
def _frame(language: str) -> regex.Pattern[str]:
    """What follows the Appointment-Info or the word for free."""
    words = words_of(language)
    tail = words.until.partition("$0")[2]
    before, _, behind = tail.partition("$1")
    prefix = "|".join(regex.escape(f"{word}: ") for word in (words.busy, words.away))
    return regex.compile(
        f"{regex.escape(before)}{_date_time(language)}{regex.escape(behind)}"
        rf"(?: \((?:{prefix})?(?P<next>{_INFO})\))?"
    )


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
