"""The ini text: what is read, on which lines, and that nothing ever raises."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presenced.config.inifile import IniFile, parse


def entries(ini: IniFile) -> list[tuple[str, str, str, int]]:
    return [
        (section.title, entry.key, entry.value, entry.line)
        for section in ini.sections
        for entry in section.entries
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a]\nk = v\n", [("[a]", "k", "v", 2)]),
        ("[a]\nk=v", [("[a]", "k", "v", 2)]),
        ("\ufeff[a]\r\nk = v\r\n", [("[a]", "k", "v", 2)]),
        ("[a]\rk = v\r", [("[a]", "k", "v", 2)]),
        ("# one\n; two\n\n[a]\n  # three\nk = v\n", [("[a]", "k", "v", 6)]),
        ("[a]\nk = a#b ; c # d\n", [("[a]", "k", "a#b ; c # d", 2)]),
        ('[a]\nk = "v"  \n', [("[a]", "k", '"v"', 2)]),
        ("[a]\nk = a = b\n", [("[a]", "k", "a = b", 2)]),
        ("[a]\nk =\n", [("[a]", "k", "", 2)]),
        ("[a]\nk = \u00a0v\u2028w\n", [("[a]", "k", "\u00a0v\u2028w", 2)]),
        ("[A]\nSome_Key = V\n", [("[a]", "some_key", "V", 2)]),
        ("[a]\nk = v\n  w\n\tx\nl = y\n", [("[a]", "k", "v\nw\nx", 2), ("[a]", "l", "y", 5)]),
        ("[a]\nk = v,\n  # not a part\n  w\n", [("[a]", "k", "v,\nw", 2)]),
        ("[a]\n  k = v\n  l = w\n", [("[a]", "k", "v", 2), ("[a]", "l", "w", 3)]),
        ("[a]\nk = v\n\n  l = w\n", [("[a]", "k", "v", 2), ("[a]", "l", "w", 4)]),
        ("[a] # why\nk = v\n", [("[a]", "k", "v", 2)]),
        (
            "[user A@b]\nk = v\n[ user  *@c ]\nk = w\n",
            [("[user A@b]", "k", "v", 2), ("[user *@c]", "k", "w", 4)],
        ),
        ("[user [ab]*@c]\nk = v\n", [("[user [ab]*@c]", "k", "v", 2)]),
    ],
)
def test_reads(text: str, expected: list[tuple[str, str, str, int]]) -> None:
    ini = parse(text, "x.ini")
    assert entries(ini) == expected
    assert ini.problems == ()


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("k = v\n", 1, "k stands before the first section"),
        ("[a\nk = v\n", 1, "this is no section"),
        ("[]\n", 1, "this is no section"),
        ("[a] b\n", 1, "this is no section"),
        ("[a]\nk = v\nk = w\n", 3, "k is set again; keep this one or the one in line 2"),
        ("[a]\nk = v\n[b]\n[a]\nl = w\n", 4, "comes again; put its keys into the one in line 1"),
        ("[user A@b]\n[user a@B]\n", 2, "comes again"),
        ("[a]\nhunter2\n", 2, "this line says nothing known"),
        ("[a]\n= v\n", 2, 'what stands before "=" is no key'),
        ("[a]\naHVudGVyMg== \n", 2, 'what stands before "=" is no key'),
        ("[a]\nk = a\x00b\n", 2, "control character (U+0000)"),
    ],
)
def test_tells_what_it_cannot_read(text: str, line: int, part: str) -> None:
    (problem,) = parse(text, "x.ini").problems
    assert problem.line == line
    assert part in problem.text
    assert "hunter2" not in problem.text
    assert "aHVudGVyMg" not in problem.text


def test_a_repeated_section_joins_the_first_and_the_first_value_holds() -> None:
    ini = parse("[a]\nk = v\n[a]\nk = w\nl = x\n", "x.ini")
    assert entries(ini) == [("[a]", "k", "v", 2), ("[a]", "l", "x", 5)]
    assert [problem.line for problem in ini.problems] == [3, 4]


def test_what_follows_a_broken_section_is_not_told_as_the_one_before() -> None:
    ini = parse("[a]\nk = v\n[b\nk = w\n", "x.ini")
    assert entries(ini) == [("[a]", "k", "v", 2)]
    assert [problem.line for problem in ini.problems] == [3]


INI_LIKE = st.lists(
    st.one_of(st.sampled_from(["[pbx]", "[user a@b]", "k = v", " go on", "#", "[", "=", "]"]), st.text()),
    max_size=12,
).map("\n".join)


@given(st.one_of(st.text(), INI_LIKE))
@settings(max_examples=200)
def test_no_text_raises(text: str) -> None:
    ini = parse(text, "x.ini")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for section in ini.sections:
        for entry in section.entries:
            assert "=" in lines[entry.line - 1]
    assert all(1 <= problem.line <= len(lines) for problem in ini.problems)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])).map(lambda value: value.strip(" \t")))
@settings(max_examples=100)
def test_a_value_keeps_its_exact_text(value: str) -> None:
    assert entries(parse(f"[a]\nk = {value}\n", "x.ini")) == [("[a]", "k", value, 2)]
