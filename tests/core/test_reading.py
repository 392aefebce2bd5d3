"""Reading notes: what is accepted, what is refused and how that is said."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presenced.core.activity import Tag
from presenced.core.reading import Reading, Unreadable, display, read, without_titles
from presenced.core.strict import read_strictly
from presenced.core.wording import FREE_WORDS
from presenced.core.zones import zone_of


@pytest.mark.parametrize("word", sorted(FREE_WORDS))
def test_a_free_word_alone(word: str) -> None:
    assert read(word) == Reading(word, Tag.FREE)


@pytest.mark.parametrize(
    ("note", "reading"),
    [
        ("#busy", Reading("", Tag.BUSY)),
        ("Lunch #away", Reading("Lunch", Tag.AWAY)),
        ("Sleeping until 07:00 #away #len:8  #until:3333333", Reading(
            "Sleeping until 07:00", Tag.AWAY, "Sleeping", datetime(1970, 2, 8, 13, 55, 33, tzinfo=UTC), len=(8,)
        )),
        ("x #until:1524733200000", Reading("x", until=datetime(2018, 4, 26, 9, tzinfo=UTC))),
        ("x #until:1524733200", Reading("x", until=datetime(2018, 4, 26, 9, tzinfo=UTC))),
        ("x #until:99999999999", Reading("x", until=datetime(5138, 11, 16, 9, 46, 39, tzinfo=UTC))),
        ("x #busy #away", Reading("x", Tag.AWAY)),
        ("x #busy #until:1 #until:2", Reading("x", Tag.BUSY, until=datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC))),
        ("x #busy #nonsense:7", Reading("x", Tag.BUSY)),
        ("##x #busy", Reading("##x", Tag.BUSY)),
        ("x #next-activity:dnd #busy", Reading("x", Tag.BUSY)),
        ("Review #12 soon #busy #len:15:15", Reading("Review #12 soon", Tag.BUSY, "Review #12 soon", len=(15, 15))),
        ("abc #busy #next:0:3:9:9", Reading("abc", Tag.BUSY, next_title="abc", next=(0, 3, 9, 9))),
    ],
)  # fmt: skip
def test_tolerant(note: str, reading: Reading) -> None:
    assert read(note) == reading


@pytest.mark.parametrize(
    ("note", "says"),
    [
        ("", "neither tags"),
        ("Hello", "neither tags"),
        ("Hello #world", "neither tags"),
        ("x #busy #len:x", "#len has 'x'"),
        ("x #busy #len", "#len has ''"),
        ("x #busy #until:-5", "#until has '-5'"),
        ("x #busy #until:١٢", "#until has"),
        ("x #busy #until:99999999999999999999", "later than any calendar"),
        ("x #busy #len:99:99", "#len points to code points 0 to 99"),
        ("x #busy #next:1", "needs at least 2"),
        ("x #busy #next:3:99:3:99", "#next points to code points 3 to 102"),
    ],
)
def test_unreadable(note: str, says: str) -> None:
    with pytest.raises(Unreadable, match=says.replace("(", r"\(")):
        read(note)


@pytest.mark.parametrize(
    "note",
    [
        "x #busy",
        "Sleeping until 07:00 #away #len:8 #until:3333333",
        "Sleeping until 07:00 #away #len:8:8  #until:3333333",
        "Sleeping until 7:00 #away #len:8:8 #until:3333333",
        "Sleeping until 25:00 #away #len:8:8 #until:3333333",
        "Sleeping until 31.13.2017 #away #len:8:8 #until:3333333",
        "Sleeping till 07:00 #away #len:8:8 #until:3333333",
        "Sleeping until 07:00 #until:3333333 #away #len:8:8",
        "Sleeping until 07:00 #dnd #len:8:8 #until:3333333",
        "Free until 07:00 #free #until:3333333",
        "Free until 07:00 (Busy: x) #free #until:3333333",
        "Free until 07:00 (Later: x) #free #until:3333333 #next-activity:busy #next:24:1:24:1",
        "Sleeping until 07:00 #away #len:7:7 #until:3333333",
        "A #b until 07:00 #away #len:4:4 #until:3333333",
        "Frei",
    ],
)
def test_strict_refuses(note: str) -> None:
    with pytest.raises(Unreadable):
        read_strictly(note)


@given(st.text(alphabet=st.sampled_from("Free #untilbsy:0123lenx-acvwhodp() ä\u00a0"), max_size=60))
def test_any_text_is_read_or_refused(note: str) -> None:
    for reader in (read, read_strictly):
        try:
            reading = reader(note)
        except Unreadable as refused:
            assert "\n" not in str(refused)
        else:
            assert isinstance(display(reading, "en", zone_of("UTC"), datetime(2026, 1, 1, tzinfo=UTC)), str)


@pytest.mark.parametrize(
    ("note", "without"),
    [
        ("Divorce until 12:00 #busy #len:7:7 #until:1479121200000", "Private until 12:00"),
        (
            "Free until 12:00 (Busy: Divorce) #free #until:1 #next-activity:busy #next:24:7:24:7",
            "Free until 12:00 (Busy: Private)",
        ),
        (
            "Home until 12:00 (Visit) #free #len:4:4 #until:1 #next-activity:free #next:18:5:18:5",
            "Private until 12:00 (Private)",
        ),
        ("Private until 12:00 #busy #len:7:7 #until:1479121200000", None),
        ("Free", None),
        ("", None),
        ("nothing a client reads", "Private"),
    ],
)
def test_titles_taken_out(note: str, without: str | None) -> None:
    assert without_titles(note, "Private") == (note if without is None else without)
