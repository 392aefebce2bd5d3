"""A presence as the page shows it: a colour's name, a word and the text people read.

Titles are shown only where the subject may be shown: a note on record may be older than the wish to
hide it, so titles are taken out of a hidden user's notes once more before anything is shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from presenced.core.mapping import Mapping
from presenced.core.presence import CLEARED, Presence
from presenced.core.reading import Unreadable, read, without_titles
from presenced.core.wording import words_of

_KINDS = {"": "available", "busy": "busy", "away": "away", "dnd": "dnd"}
NAMES = {
    "available": "Available",
    "busy": "Busy",
    "away": "Away",
    "dnd": "Do not disturb",
    "none": "No calendar presence",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page says of a presence."""

    kind: str
    """`available`, `busy`, `away`, `dnd` or `none`: the colour"""
    text: str
    """what stands before the tags"""
    title: str = ""
    """the title alone, or the word for the activity"""

    @property
    def name(self) -> str:
        """The kind in words."""
        return NAMES[self.kind]


NOTHING = Shown("none", NAMES["none"], NAMES["none"])


def show(presence: Presence | None, *, titles: bool, language: str) -> Shown:
    """The presence in words; without titles where they may not be shown."""
    if presence is None or presence == CLEARED:
        return NOTHING
    kind = _KINDS.get(presence.activity, "busy")
    try:
        reading = read(presence.note)
    except Unreadable:
        return Shown(kind, NAMES[kind], NAMES[kind])
    words = words_of(language)
    title = (
        reading.title if reading.title is not None else words.of(reading.activity) if reading.activity else ""
    )
    if titles:
        return Shown(kind, reading.text, title)
    masked = without_titles(presence.note, words.private)
    text = reading.text if masked == presence.note else masked
    return Shown(kind, text, words.private if reading.title is not None else title)


def show_for(presence: Presence | None, mapping: Mapping, *, titles: bool) -> Shown:
    """The same in the language of a user's mapping."""
    return show(presence, titles=titles, language=mapping.style.language)
