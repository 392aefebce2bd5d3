"""The ini text: sections, keys, values and the lines they stand on. Pure: text in, values out.

Own code because the lines are the point: configparser forgets them, stops at the first mistake and
refuses repeated sections. Nothing in here knows which keys exist, and no text makes it raise.

What it understands: `[section]`, `[section argument]`, `key = value`, whole-line comments that begin
with `#` or `;`, and lines indented deeper than their key that continue its value. Values keep their
exact text: `#`, `;` and quotes belong to them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from presenced.config.problems import Problem, shown

_LINE_END = re.compile(r"\r\n|\n|\r")
_HEADER = re.compile(r"\[(.*?)\][ \t]*(?:[#;].*)?")
_WORD = r"(?:[a-z]+|[A-Z]+|[A-Z][a-z]+)"
_KEY = re.compile(rf"(?=.{{1,60}}$){_WORD}(?:[_-]{_WORD})*")
"""whole words alone: a line that is the rest of a secret hardly looks like that"""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BLANK = " \t"


@dataclass(frozen=True, slots=True)
class Entry:
    """One `key = value`."""

    key: str
    """in small letters"""
    value: str
    """the exact text without the blanks around it; continued lines are joined by a line feed"""
    line: int


@dataclass(frozen=True, slots=True)
class Section:
    """One `[name argument]` with its entries, each key once."""

    name: str
    """in small letters"""
    argument: str
    line: int
    entries: tuple[Entry, ...]

    @property
    def title(self) -> str:
        """How the file calls it."""
        return f"[{self.name} {self.argument}]" if self.argument else f"[{self.name}]"


@dataclass(frozen=True, slots=True)
class IniFile:
    """A whole file, and what could not be understood of it."""

    sections: tuple[Section, ...]
    problems: tuple[Problem, ...]


def parse(text: str, file: str) -> IniFile:
    """Take an ini text apart; `file` is the name the problems carry.

    A section or key that comes again is a problem; a repeated section's new keys join the first one.
    """
    reader = _Reader(file)
    for number, line in enumerate(_LINE_END.split(text.removeprefix("\ufeff")), start=1):
        reader.take(number, line)
    return reader.result()


@dataclass(slots=True)
class _OpenEntry:
    key: str
    line: int
    indent: int
    parts: list[str]


@dataclass(slots=True)
class _OpenSection:
    name: str
    argument: str
    line: int
    entries: dict[str, _OpenEntry] = field(default_factory=dict)


class _Reader:
    """Takes line after line; remembers the section and the entry that are still open."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._problems: list[Problem] = []
        self._sections: dict[tuple[str, str], _OpenSection] = {}
        self._section: _OpenSection | None = None
        self._entry: _OpenEntry | None = None

    def take(self, number: int, line: str) -> None:
        content = line.strip(_BLANK)
        if not content:
            self._entry = None
            return
        if content[0] in "#;":
            return
        if control := _CONTROL.search(line):
            self._tell(number, f"a control character (U+{ord(control[0]):04X}) in this line", "remove it")
            self._entry = None
            return
        indent = len(line) - len(line.lstrip(_BLANK))
        if self._entry is not None and indent > self._entry.indent:
            self._entry.parts.append(content)
        elif content[0] == "[":
            self._open_section(number, content)
        else:
            self._open_entry(number, content, indent)

    def result(self) -> IniFile:
        sections = tuple(
            Section(
                section.name,
                section.argument,
                section.line,
                tuple(Entry(each.key, "\n".join(each.parts), each.line) for each in section.entries.values()),
            )
            for section in self._sections.values()
        )
        return IniFile(sections, tuple(self._problems))

    def _open_section(self, number: int, content: str) -> None:
        self._entry = None
        header = _HEADER.fullmatch(content)
        words = header[1].split(None, 1) if header else []
        if not words:
            self._tell(number, "this is no section", "[name] is meant, alone on its line")
            self._section = _OpenSection("", "", number)  # swallows what belongs to it
            return
        name, argument = words[0].lower(), words[1].strip() if len(words) > 1 else ""
        fresh = _OpenSection(name, argument, number)
        self._section = self._sections.setdefault((name, argument.casefold()), fresh)
        if self._section is not fresh:
            title = shown(f"[{name} {argument}]" if argument else f"[{name}]")
            self._tell(
                number,
                f"section {title} comes again",
                f"put its keys into the one in line {self._section.line}",
            )

    def _open_entry(self, number: int, content: str, indent: int) -> None:
        self._entry = None
        before, equals, after = content.partition("=")
        key = before.strip(_BLANK)
        if not equals:
            self._tell(number, "this line says nothing known", "key = value, [section] or # comment is meant")
            return
        fits, key = _KEY.fullmatch(key), key.lower()
        self._entry = _OpenEntry(key, number, indent, [after.strip(_BLANK)])
        if not fits:
            self._tell(number, 'what stands before "=" is no key', "keys are letters and underscores")
        elif self._section is None:
            self._tell(number, f"{key} stands before the first section", "put it below its [section]")
        elif (first := self._section.entries.setdefault(key, self._entry)) is not self._entry:
            self._tell(number, f"{key} is set again", f"keep this one or the one in line {first.line}")

    def _tell(self, number: int, wrong: str, meant: str) -> None:
        self._problems.append(Problem(self._file, number, f"{wrong}; {meant}"))
