"""The text and its tags: presence.md sections 4 to 6."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from presenced.core.activity import Mapped, Tag
from presenced.core.appointment import Appointment, Sensitivity, ShowAs
from presenced.core.decision import Decision, decide
from presenced.core.mapping import Mapping, MappingTable
from presenced.core.note import NoteStyle
from presenced.core.reading import display, read
from presenced.core.strict import read_strictly
from presenced.core.title import clean, shown_title
from presenced.core.wording import WORDS
from presenced.core.zones import zone_of
from tests.core.appointments import (
    SUBJECTS,
    WINDOW,
    admitted,
    all_day,
    at,
    calendars,
    mapping,
    tables,
    timed,
)


def note(*raw: Appointment, now: str, **style: Any) -> str:
    language, timezone = style.pop("language", "en"), style.pop("timezone", "UTC")
    rules = Mapping(MappingTable(), NoteStyle(language, timezone, **style))
    return decide(admitted(*raw, timezone=timezone), rules, at(now)).presence.note


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Free until 17.11.2026 09:05 (Busy: M)"),
        ("en_GB", "Free until 17/11/2026 09:05 (Busy: M)"),
        ("en_US", "Free until 11/17/2026 9:05 a.m. (Busy: M)"),
        ("de", "Frei bis 17.11.2026 09:05 (Beschäftigt: M)"),
        ("de_AT", "Frei bis 17.11.2026 09:05 (Beschäftigt: M)"),
        ("fr", "Disponible jusque 17/11/2026 09:05 (Occupé: M)"),
        ("it", "Libero fino 17/11/2026 09:05 (Occupato: M)"),
        ("es", "Libre hasta 17/11/2026 9:05 (Ocupado: M)"),
        ("nl", "Beschikbaar tot 17-11-2026 09:05 (Bezig: M)"),
        ("pt", "Disponível até 17/11/2026 09:05 (Ocupado: M)"),
        ("pl", "Wolny(a) do 17.11.2026 09:05 (Zajęty(a): M)"),
        ("cs", "Volný do 17.11.2026 9:05 (Obsazeno: M)"),
        ("ru", "Свободен до 17.11.2026 09:05 (Занят: M)"),
        ("sv", "Tillgänglig till 2026-11-17 09:05 (Upptagen: M)"),
        ("ca", "Lliure fins 17/11/2026 9:05 (Ocupat: M)"),
        ("eu", "Librea 2026/11/17 09:05 arte (Okupatua: M)"),
        ("sl", "Prost do 17. 11. 2026 09:05 (Zaseden: M)"),
        ("hu", "Szabad-tól 2026. 11. 17. 9:05-ig (Busy: M)"),
        ("ja", "Free until 2026/11/17 9:05 (Busy: M)"),
    ],
)
def test_every_language(language: str, text: str) -> None:
    tomorrow = Appointment("m", at("09:05", day=1), at("10:00", day=1), subject="M")
    whole = note(tomorrow, now="08:00", language=language)
    assert whole.startswith(f"{text} #free #until:")
    assert read_strictly(whole, language).next_title == "M"


def test_twelve_hours() -> None:
    assert note(timed("m", "13:05", "14:00"), now="13:05", language="en_US").startswith(
        "M until 2:00 p.m. #busy"
    )


@pytest.mark.parametrize(
    ("style", "beginning"),
    [
        ({}, "M until 13:05 #busy #len:1:1 #until:1794834300000"),
        ({"until_unit": "seconds"}, "M until 13:05 #busy #len:1:1 #until:1794834300"),
        ({"language": "de"}, "M bis 13:05 #busy"),
        ({"language": "en_US"}, "M until 1:05 p.m. #busy"),
        ({"timezone": "Asia/Tokyo"}, "M until 22:05 #busy"),
        ({"timezone": "Pacific/Auckland"}, "M until 02:05 #busy"),
        ({"timezone": "Pacific/Kiritimati"}, "M until 03:05 #busy"),
    ],
)
def test_the_same_instant_in_every_style(style: dict[str, Any], beginning: str) -> None:
    """Whatever other styles have written about it before."""
    one = timed("m", "12:00", "13:05")
    assert note(one, now="12:30", **style).startswith(beginning)
    assert note(one, now="12:30", language="fr").startswith("M jusque 13:05 #busy")
    assert note(one, now="12:30", **style).startswith(beginning)


def test_the_same_instant_on_another_day_and_of_a_whole_day() -> None:
    evening, day = timed("m", "22:00", "24:00"), all_day("m", 0, 1)
    tags = "#busy #len:1:1 #until:1794873600000"
    assert note(evening, now="23:00") == f"M until 17.11.2026 00:00 {tags}"
    assert note(day, now="23:00") == f"M until 17.11.2026 {tags} #whole-day"
    night = timed("m", "22:00", "30:00")
    assert note(night, now="23:59").startswith("M until 17.11.2026 06:00 #busy")
    assert note(night, now="24:00").startswith("M until 06:00 #busy")


def test_seconds() -> None:
    whole = note(timed("m", "10:00", "11:00"), now="10:00", until_unit="seconds")
    assert whole == "M until 11:00 #busy #len:1:1 #until:1794826800"
    assert read(whole).until == at("11:00")


def test_code_points_and_octets() -> None:
    whole = note(timed("m", "10:00", "11:00", subject="Bürgermeister 👩‍👩‍👧"), now="09:00", language="de")
    assert whole.endswith("#next-activity:busy #next:29:19:30:33")
    assert read(whole).next_title == "Bürgermeister 👩‍👩‍👧"


@pytest.mark.parametrize("sensitivity", [Sensitivity.PRIVATE, Sensitivity.CONFIDENTIAL])
@pytest.mark.parametrize(
    ("language", "word"), [("en", "Private"), ("de", "Privat"), ("hu", "Privát"), ("ja", "Private")]
)
def test_private_titles_are_a_word(sensitivity: Sensitivity, language: str, word: str) -> None:
    whole = note(timed("m", "10:00", "11:00", sensitivity=sensitivity), now="10:00", language=language)
    assert read(whole).title == word


def test_personal_is_shown() -> None:
    assert (
        read(note(timed("m", "10:00", "11:00", sensitivity=Sensitivity.PERSONAL), now="10:00")).title == "M"
    )


def test_subject_hide_hides_every_title() -> None:
    appointments = admitted(timed("m", "10:00", "11:00"), timed("n", "11:00", "12:00"), subject_shown=False)
    assert [one.subject for one in appointments] == [None, None]
    assert decide(appointments, mapping(), at("10:00")).presence.note.startswith("Private until 11:00")


@pytest.mark.parametrize(
    ("subject", "title"),
    [
        ("Meeting", "Meeting"),
        ("  two   words ", "two words"),
        ("tab\tand\nline\r\nfeed\u0085next", "tab and line feed next"),
        ("bell\x07gone\x00", "bellgone"),
        ("no\u00a0break\u2028line", "no break line"),
        ("#free", "\u00a0#free"),
        ("a #free b #len:1", "a\u00a0#free b\u00a0#len:1"),
        ("a##b c#d", "a##b c#d"),
        ("## x", "\u00a0## x"),
        ("$1 and $0", "$1 and $0"),
        ("", ""),
        ("\u200b\u2060", ""),
        ("   ", ""),
    ],
)
def test_titles(subject: str, title: str) -> None:
    assert shown_title(clean(subject), 128) == title


@pytest.mark.parametrize(
    ("show_as", "language", "word"),
    [
        (ShowAs.BUSY, "en", "Busy"),
        (ShowAs.OOF, "de", "Abwesend"),
        (ShowAs.WORKING_ELSEWHERE, "pl", "Wolny(a)"),
    ],
)
def test_an_invisible_title_becomes_the_word_for_the_activity(
    show_as: ShowAs, language: str, word: str
) -> None:
    whole = note(
        timed("m", "10:00", "11:00", subject="\u200b", show_as=show_as), now="10:00", language=language
    )
    assert read(whole).title == word


@pytest.mark.parametrize(
    ("subject", "limit", "title"),
    [
        ("abcdefgh", 8, "abcdefgh"),
        ("abcdefghi", 8, "abcdefg…"),
        ("abcdef ghi", 8, "abcdef…"),
        ("e\u0301" * 8, 8, "e\u0301" * 3 + "…"),
        ("ab👩‍👩‍👧cdefgh", 8, "ab👩‍👩‍👧…"),
        ("abc👩‍👩‍👧cdefgh", 8, "abc…"),
        ("👩‍👩‍👧‍👦‍👧‍👦", 8, "…"),
        ("abcde #fghi", 8, "abcde\u00a0#…"),
        ("abcdef #fghi", 8, "abcdef…"),
    ],
)
def test_long_titles_are_cut_on_grapheme_borders(subject: str, limit: int, title: str) -> None:
    assert shown_title(clean(subject), limit) == title


@given(st.text(max_size=60), st.integers(8, 40))
def test_any_title_fits(subject: str, limit: int) -> None:
    title = shown_title(clean(subject), limit)
    assert len(title) <= limit
    assert not any(unicodedata.category(sign) == "Cc" for sign in title)
    assert not any(word.startswith("#") for word in title.split(" "))
    visible = [sign for sign in subject if unicodedata.category(sign)[0] not in "CZ"]
    if not visible:
        assert title == ""
    elif len(clean(subject)) < limit:
        assert [sign for sign in title if unicodedata.category(sign)[0] not in "CZ"] == visible


PUBLISHED = [
    ("Free", Tag.FREE, None, None),
    (
        "Free until 10:30 (Busy: Meeting with Caption Sparrow) #free #until:12345 #next-activity:busy #next:24:28:24:28",
        Tag.FREE, None, "Meeting with Caption Sparrow",
    ),
    ("Meeting with Caption Sparrow until 12:30 #busy #len:28:28 #until:12345", Tag.BUSY, "Meeting with Caption Sparrow", None),
    (
        "Free until 24.12.2017 (Busy: Christmas) #free #until:54321 #whole-day #next-activity:busy #next:29:9:29:9",
        Tag.FREE, None, "Christmas",
    ),
    ("Christmas until 27.12.2017 #busy #len:9:9 #until:42424242 #whole-day", Tag.BUSY, "Christmas", None),
    ("Sleeping until 22.08.2017 07:00 #away #len:8:8 #until:3333333", Tag.AWAY, "Sleeping", None),
]  # fmt: skip


@pytest.mark.parametrize(("published", "activity", "title", "next_title"), PUBLISHED)
def test_published_examples(published: str, activity: Tag, title: str | None, next_title: str | None) -> None:
    reading = read_strictly(published)
    assert reading == read(published)
    assert (reading.activity, reading.title, reading.next_title) == (activity, title, next_title)


def client(raw_note: str) -> dict[str, Any]:
    """The vendor's client, re-implemented from its description in presence.md section 6 alone."""
    tags: dict[str, str] = {}
    display_words = []
    for word in raw_note.split(" "):
        if word.startswith("##"):
            display_words.append(word[1:])
        elif word.startswith("#"):
            name, _, value = word[1:].partition(":")
            tags[name] = value
        else:
            display_words.append(word)
    shown: dict[str, Any] = {"tags": tags, "words": " ".join(display_words)}
    if "len" in tags:
        shown["title"] = raw_note[: int(tags["len"].split(":")[0])]
    if "next" in tags:
        start, length = (int(number) for number in tags["next"].split(":")[:2])
        shown["next"] = raw_note[start : start + length]
    return shown


def meant(decision: Decision, rules: Mapping) -> dict[str, str]:
    """The tags a decision stands for, worked out from its appointments without the writer of notes."""
    if decision.until is None:
        return {}
    by_id = {one.id: one for one in decision.because.appointments}
    current = by_id.get(decision.because.current or "")
    mapped = rules.presence_of(current) if current else None
    return {
        (mapped or Mapped.AVAILABLE).tag.value: "",
        "until": str(round((decision.until - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))),
    }


@given(calendars, tables, st.integers(0, 48 * 4), st.sampled_from(sorted(WORDS)))
def test_a_client_reads_back_exactly_what_was_meant(
    raw: list[Appointment], table: MappingTable, quarter: int, language: str
) -> None:
    rules = Mapping(table, NoteStyle(language, "UTC"))
    decision = decide(admitted(*raw), rules, WINDOW.start + timedelta(minutes=15 * quarter))
    written = decision.presence.note
    seen = client(written)
    allowed = {"len", "next", "next-activity", "whole-day"}
    tags = seen["tags"]
    assert {name: value for name, value in tags.items() if name not in allowed} == meant(decision, rules)
    assert tags.get("whole-day", "") == ""
    assert ("len" in tags) == (decision.because.current is not None)
    reading = read_strictly(written, language)
    assert reading == read(written)
    assert (reading.title, reading.next_title) == (seen.get("title"), seen.get("next"))
    for name, text in (("len", reading.title), ("next", reading.next_title)):
        if text is not None:
            counts = [int(number) for number in tags[name].split(":")]
            assert counts[-1] == len(text.encode())
            if name == "next":
                assert written.encode()[counts[2] : counts[2] + counts[3]].decode() == text
    if tags:
        assert written.endswith(
            "".join(f" #{name}{':' if value else ''}{value}" for name, value in tags.items())
        )


@given(SUBJECTS, st.sampled_from(sorted(WORDS)))
def test_no_title_can_inject_a_tag(subject: str, language: str) -> None:
    appointments = admitted(
        timed("a", "10:00", "11:00", subject=subject, show_as=ShowAs.WORKING_ELSEWHERE),
        timed("b", "11:00", "12:00", subject=subject),
    )
    rules = mapping(language)
    plain = admitted(
        timed("a", "10:00", "11:00", subject="x", show_as=ShowAs.WORKING_ELSEWHERE),
        timed("b", "11:00", "12:00", subject="x"),
    )
    names = [
        list(client(decide(some, rules, at("10:00")).presence.note)["tags"]) for some in (appointments, plain)
    ]
    assert names[0] == names[1]


def test_a_title_with_dollar_signs_is_not_filled_twice() -> None:
    assert note(timed("a", "10:00", "11:00", subject="$1 $0"), now="10:00").startswith(
        "$1 $0 until 11:00 #busy"
    )


def test_display_in_another_zone_and_language() -> None:
    whole = note(timed("a", "10:00", "11:00"), now="09:00")
    berlin = zone_of("Europe/Berlin")
    assert display(read(whole), "de", berlin, at("09:00")) == "Frei bis 11:00 (Beschäftigt: A)"
    assert (
        display(read(whole), "de", berlin, at("09:00", day=1)) == "Frei bis 16.11.2026 11:00 (Beschäftigt: A)"
    )
    day = note(all_day("a", 0, 1), now="09:00")
    assert display(read(day), "en", zone_of("UTC"), at("09:00")) == "A until 17.11.2026"


def test_only_the_shape_of_en_is_bound_by_the_grammar() -> None:
    assert not regex.search(
        r"\d{2}\.\d{2}\.\d{4}", note(timed("a", "10:00", "11:00"), now="09:00", language="sv")
    )
