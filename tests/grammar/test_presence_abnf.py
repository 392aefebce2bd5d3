"""Every note in `en` is a sentence of grammar/presence.abnf, and the strict reader agrees with it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import abnf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presenced.core.appointment import Appointment
from presenced.core.decision import decide
from presenced.core.mapping import Mapping, MappingTable
from presenced.core.note import NoteStyle
from presenced.core.reading import Unreadable
from presenced.core.strict import read_strictly
from tests.core.appointments import WINDOW, admitted, calendars, tables
from tests.core.test_note import PUBLISHED


class PresenceGrammar(abnf.Rule):
    """The rules of the file."""


GRAMMAR = Path(__file__).parents[2] / "grammar" / "presence.abnf"
PresenceGrammar.load_grammar(GRAMMAR.read_text().replace("\r\n", "\n").replace("\n", "\r\n"))


def is_sentence(note: str) -> bool:
    try:
        PresenceGrammar("presence").parse_all(note)
    except abnf.ParseError:
        return False
    return True


@pytest.mark.parametrize("published", [example[0] for example in PUBLISHED])
def test_published_examples(published: str) -> None:
    assert is_sentence(published)


@settings(max_examples=40)
@given(calendars, tables, st.integers(0, 48 * 4))
def test_every_note_is_a_sentence(raw: list[Appointment], table: MappingTable, quarter: int) -> None:
    rules = Mapping(table, NoteStyle("en", "UTC", 24))
    note = decide(admitted(*raw), rules, WINDOW.start + timedelta(minutes=15 * quarter)).presence.note
    assert is_sentence(note)


@pytest.mark.parametrize(
    "note",
    [
        "Sleeping until 07:00 #away #len:8:8 #until:3333333",
        "Sleeping until 07:00 (Busy: x) #free #len:8:8 #until:3333333 #next-activity:busy #next:28:1:28:1",
        "Sleeping until 07:00 (Busy: x) #free #len:8:8 #until:3333333 #next-activity:free #next:22:7:22:7",
        "Sleeping until 07:00 (Busy: x) #free #len:8:8 #until:3333333 #next-activity:busy",
        "Sleeping until 7:00 #away #len:8:8 #until:3333333",
        "Sleeping until 24:00 #away #len:8:8 #until:3333333",
        "Sleeping until 32.01.2017 #away #len:8:8 #until:3333333",
        "Sleeping until 07:00 a.m. #away #len:8:8 #until:3333333",
        "Sleeping till 07:00 #away #len:8:8 #until:3333333",
        "Sleeping until 07:00  #away #len:8:8 #until:3333333",
        "Sleeping until 07:00 #AWAY #len:8:8 #until:3333333",
        "Sleeping until 07:00 #until:3333333 #away #len:8:8",
        "Free until 07:00 (Busy: x) #free #until:3333333",
        "#x until 07:00 #away #len:2:2 #until:3333333",
        "free",
        "Free ",
        "",
    ],
)
def test_the_strict_reader_agrees(note: str) -> None:
    try:
        read_strictly(note)
    except Unreadable:
        assert not is_sentence(note)
    else:
        assert is_sentence(note)
