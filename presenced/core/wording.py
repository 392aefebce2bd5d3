"""Words, dates and times of a note in the admin's language (presence.md section 4).

The words are the client texts the vendor's programs show; the shape of dates and times is Babel's
CLDR data, but for `en`, whose shape is the published grammar's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import regex
from babel import Locale, UnknownLocaleError

from presenced.core.activity import Tag


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one language; `until` holds $0 (what) and $1 (when)."""

    free: str
    busy: str
    away: str
    until: str
    private: str

    def of(self, tag: Tag) -> str:
        """The word for an activity."""
        match tag:
            case Tag.FREE:
                return self.free
            case Tag.BUSY:
                return self.busy
            case Tag.AWAY:
                return self.away

    def until_text(self, what: str, when: str) -> str:
        """The pattern filled in one pass: a title may hold `$1` itself."""
        head, _, rest = self.until.partition("$0")
        middle, _, tail = rest.partition("$1")
        return f"{head}{what}{middle}{when}{tail}"


ENGLISH = Words("Free", "Busy", "Away", "$0 until $1", "Private")

WORDS = {
    "en": ENGLISH,
    "de": Words("Frei", "Beschäftigt", "Abwesend", "$0 bis $1", "Privat"),
    "fr": Words("Disponible", "Occupé", "Absent", "$0 jusque $1", "Privé"),
    "it": Words("Libero", "Occupato", "Assente", "$0 fino $1", "Privato"),
    "es": Words("Libre", "Ocupado", "Ausente", "$0 hasta $1", "Privado"),
    "nl": Words("Beschikbaar", "Bezig", "Afwezig", "$0 tot $1", "Privé"),
    "pt": Words("Disponível", "Ocupado", "Ausente", "$0 até $1", "Privado"),
    "pl": Words("Wolny(a)", "Zajęty(a)", "Nieobecny(a)", "$0 do $1", "Prywatne"),
    "cs": Words("Volný", "Obsazeno", "Nepřítomný", "$0 do $1", "Soukromé"),
    "ru": Words("Свободен", "Занят", "Отсутствует", "$0 до $1", "Личное"),
    "sv": Words("Tillgänglig", "Upptagen", "Frånvarande", "$0 till $1", "Privat"),
    "ca": Words("Lliure", "Ocupat", "Absent", "$0 fins $1", "Privat"),
    "eu": Words("Librea", "Okupatua", "Ez dago", "$0 $1 arte", "Pribatua"),
    "sl": Words("Prost", "Zaseden", "Odsoten", "$0 do $1", "Zasebno"),
    "hu": Words("Szabad", ENGLISH.busy, ENGLISH.away, "$0-tól $1-ig", "Privát"),
}
"""By language; the client texts have no Hungarian busy and away, so English ones stand in."""

FREE_WORDS = frozenset(words.free for words in WORDS.values())

_FIELDS = regex.compile(r"'(?P<quoted>(?:[^']|'')*)'|(?P<field>(?P<letter>[A-Za-z])(?P=letter)*)|(?P<text>.)")
_TEMPLATES = {
    "d": "{d:02}",
    "M": "{M:02}",
    "L": "{M:02}",
    "y": "{y:04}",
    "u": "{y:04}",
    "m": "{m:02}",
    "a": "{a}",
    "b": "{a}",
    "B": "{a}",
}
_HOURS = "HhKk"


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """How a locale writes a date and a time: two templates for `str.format`.

    One object a locale, told apart by that alone: a shape is part of every key of a cache.
    """

    date_template: str
    time_template: str

    def date(self, local: datetime) -> str:
        """Day and month in two digits, the year in four."""
        return self.date_template.format(d=local.day, M=local.month, y=local.year)

    def time(self, local: datetime) -> str:
        """Hours as the locale has them; 12-hour locales print a.m. and p.m."""
        hour = local.hour
        return self.time_template.format(
            H=hour,
            h=hour % 12 or 12,
            K=hour % 12,
            k=hour or 24,
            m=local.minute,
            a="a.m." if hour < 12 else "p.m.",
        )


@lru_cache(maxsize=128)
def locale_of(language: str) -> Locale:
    """The locale with this id (`en`, `en_GB`, `de-AT`); raises ValueError for one Babel does not know."""
    try:
        return Locale.parse(language.replace("-", "_"))
    except (UnknownLocaleError, ValueError, TypeError):
        raise ValueError(f"unknown language {language!r}") from None


def words_of(language: str) -> Words:
    """The words of a locale's language, English ones where there are none."""
    return WORDS.get(locale_of(language).language, ENGLISH)


@lru_cache(maxsize=128)
def shape_of(language: str) -> Shape:
    """How dates and times are written in a locale; `en` alone binds the published grammar."""
    locale = locale_of(language)
    if str(locale) == "en":
        return Shape("{d:02}.{M:02}.{y:04}", "{H:02}:{m:02}")
    return Shape(
        _template(locale.date_formats["short"].pattern),
        _template(locale.time_formats["short"].pattern),
    )


def _template(pattern: str) -> str:
    """A CLDR pattern as a template for `str.format`; fields a note has no use for (the era) are left out."""
    parts = []
    for match in _FIELDS.finditer(pattern):
        if (quoted := match["quoted"]) is not None:
            parts.append(_literal(quoted.replace("''", "'") or "'"))
        elif field := match["field"]:
            letter = field[0]
            if letter in _HOURS:
                parts.append(f"{{{letter}:02}}" if len(field) > 1 else f"{{{letter}}}")
            else:
                parts.append(_TEMPLATES.get(letter, ""))
        else:
            parts.append(_literal(match["text"]))
    return str(regex.sub(" +", " ", "".join(parts)).strip(" "))


def _literal(text: str) -> str:
    """CLDR's odd spaces become U+0020, braces are literal."""
    return str(regex.sub(r"\p{Z}", " ", text)).replace("{", "{{").replace("}", "}}")
