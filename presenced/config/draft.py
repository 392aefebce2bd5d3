"""A file half read: what each key says so far, and the problems found on the way.

The checks that look at several keys at once ask the draft; a key whose own value is wrong answers
with its default and is marked, so that one mistake is not told twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from presenced.config.inifile import Entry, IniFile, Section
from presenced.config.kinds import FilePath, MailAddresses, SecretText, Words
from presenced.config.problems import Problem, Unfit, nearest, shown
from presenced.config.schema import SECTIONS, USER, Key, keys_of, sections_with
from presenced.config.secrets import LookedUp, is_reference
from presenced.config.settings import Secret

_PATTERN = re.compile(r"[^\s,;<>]*[@*?\[][^\s,;<>]*")
_KEY_LIKE = re.compile(r"([a-z_]+)\s*=", re.IGNORECASE)


class Outside(Protocol):
    """What a file's values point to: secrets elsewhere, other files. Asked while reading, never kept."""

    @property
    def exposed(self) -> bool:
        """Whether others on this machine can read the ini file itself."""

    def look_up(self, reference: str) -> LookedUp:
        """The secret behind `env:`, `file:`, `credential:` or `sealed:`; raises Unfit."""

    def check_file(self, path: Path) -> None:
        """Raises Unfit unless the file is there and readable."""

    def check_tls_pair(self, certificate: Path, key: Path) -> None:
        """Raises Unfit unless both belong together and a server can use them."""

    def check_tls_ca(self, path: Path) -> None:
        """Raises Unfit unless the file holds certificates to trust."""


@dataclass(frozen=True, slots=True)
class Found:
    """A key the file has."""

    line: int
    blank: bool = False
    """nothing stands behind the `=`: its default holds"""
    faulty: bool = False


@dataclass(frozen=True, slots=True)
class UserDraft:
    """One `[user PATTERN]`, its values by field."""

    pattern: str
    line: int
    values: dict[str, object]


class Draft:
    """What is known of a file while it is read."""

    def __init__(self, file: str, outside: Outside | None) -> None:
        self.file = file
        self.outside = outside
        """None: secrets are not looked up and no other file is asked for"""
        self.problems: list[Problem] = []
        self.notices: list[Problem] = []
        self.values: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
        """section -> field -> value, for what the file sets"""
        self.users: list[UserDraft] = []
        self.found: dict[tuple[str, str], Found] = {}
        self._section_lines: dict[str, int] = {}

    # --- asked by the checks ---

    def value(self, section: str, name: str) -> Any:
        """What the key says, or its default (None where it has none)."""
        key = keys_of(section)[name]
        if key.target in self.values[section]:
            return self.values[section][key.target]
        return key.kind.read(key.default) if key.default else None

    def given(self, section: str, name: str) -> bool:
        """Whether the file sets this key to something, be it wrong."""
        found = self.found.get((section, name))
        return found is not None and not found.blank

    def usable(self, section: str, name: str) -> bool:
        """Whether `value` can be trusted: the key is not set, or set without a mistake."""
        found = self.found.get((section, name))
        return found is None or not found.faulty

    def line(self, section: str, name: str = "") -> int:
        """The key's line, else its section's, else the first."""
        found = self.found.get((section, name))
        return found.line if found else self._section_lines.get(section, 1)

    def complain(self, line: int, wrong: str, meant: str) -> None:
        """One more problem."""
        self.problems.append(Problem(self.file, line, f"{wrong}; {meant}"))

    def miss(self, section: str, name: str, meant: str) -> None:
        """A key is missing: told with the line of its section, or of the key that stands there empty."""
        where = f"in [{section}]" if section in self._section_lines else f"and so is its section [{section}]"
        self.complain(self.line(section, name), f"{name} is missing {where}", meant)

    def note(self, line: int, what: str, meant: str) -> None:
        """Something the admin should be told though nothing is wrong."""
        self.notices.append(Problem(self.file, line, f"{what}; {meant}"))

    # --- filled by the reading ---

    def take(self, ini: IniFile) -> None:
        """Read every section's keys."""
        self.problems.extend(ini.problems)
        for section in ini.sections:
            if section.name == USER:
                self._take_user(section)
            elif section.name in SECTIONS and not section.argument:
                self._section_lines[section.name] = section.line
                self._take_keys(section, section.name, known_section=True)
            else:
                self._take_unknown(section)

    def _take_keys(self, section: Section, name: str, *, known_section: bool) -> None:
        """Read the keys of section `name`; those of one that only resembles it are checked, not kept."""
        known = keys_of(name)
        for entry in section.entries:
            key = known.get(entry.key)
            if key is None:
                self._tell_unknown_key(name, entry)
                continue
            found, value = Found(entry.line, blank=True), None
            if entry.value or key.default:
                value, faulty = self._read(name, key, entry)
                found = Found(entry.line, faulty=faulty)
            if known_section:
                self.found[name, key.name] = found
                if not found.blank and not found.faulty:
                    self.values[name][key.target] = value

    def _take_user(self, section: Section) -> None:
        if not _PATTERN.fullmatch(section.argument):
            self.complain(
                section.line,
                f"{shown(section.title)} names nobody",
                "[user name@example.com] or a pattern, [user *@example.com]",
            )
        known = keys_of(USER)
        values: dict[str, object] = {}
        for entry in section.entries:
            if key := known.get(entry.key):
                value, faulty = self._read(USER, key, entry)
                if not faulty:
                    values[key.target] = value
            else:
                self._tell_unknown_key(USER, entry)
        self.users.append(UserDraft(section.argument, section.line, values))

    def _take_unknown(self, section: Section) -> None:
        names = [*SECTIONS, USER]
        if section.name in SECTIONS:
            meant = f"[{section.name}] is meant, without {shown(section.argument)}"
        elif near := nearest(section.name, names):
            meant = f"did you mean [{near}]?"
            if near in SECTIONS:
                self._take_keys(section, near, known_section=False)
        else:
            meant = "there are " + ", ".join(f"[{name}]" for name in SECTIONS) + " and [user ADDRESS]"
        self.complain(section.line, f"unknown section {shown(section.title)}", meant)

    def _tell_unknown_key(self, section: str, entry: Entry) -> None:
        here = f"[{section}]" if section != USER else "a [user …] section"
        homes = sections_with(entry.key)
        known = list(keys_of(section))
        if homes:
            wrong = f"{entry.key} does not belong in {here}"
            meant = "it belongs in " + " or ".join(f"[{home}]" for home in homes)
            if section == USER:
                meant += f" (a user may have {', '.join(known)})"
        elif entry.key == "sync":
            wrong, meant = f"sync does not belong in {here}", "it belongs in a [user …] section"
        else:
            wrong = f"unknown key {entry.key} in {here}"
            near = nearest(entry.key, known)
            meant = f"did you mean {near}?" if near else self._elsewhere(entry.key, known)
        self.complain(entry.line, wrong, meant)

    @staticmethod
    def _elsewhere(name: str, known: list[str]) -> str:
        everywhere = sorted({key.name for keys in SECTIONS.values() for key in keys})
        if near := nearest(name, everywhere):
            return f"did you mean {near} in " + " or ".join(f"[{home}]" for home in sections_with(near)) + "?"
        return f"it has {', '.join(known)}"

    def _read(self, section: str, key: Key, entry: Entry) -> tuple[object, bool]:
        """The value, and whether something was wrong with it."""
        try:
            if isinstance(key.kind, Words | MailAddresses):
                _refuse_swallowed_key(section, entry)
            return self._resolve(key, key.kind.read(entry.value), entry.line), False
        except Unfit as unfit:
            self.complain(entry.line, f"{key.name}: {unfit.wrong}", unfit.meant)
            return None, True

    def _resolve(self, key: Key, value: object, line: int) -> object:
        """What a secret or a path leads to."""
        if isinstance(key.kind, FilePath) and isinstance(value, Path):
            path = Path(self.file).parent / value
            if self.outside is not None:
                self.outside.check_file(path)
            return path
        if isinstance(key.kind, SecretText) and isinstance(value, str):
            return self._open_secret(key, key.kind, value, line)
        return value

    def _open_secret(self, key: Key, kind: SecretText, text: str, line: int) -> Secret:
        if not is_reference(text):
            kind.of.read(text)
            if self.outside is not None and self.outside.exposed and kind.gives_away(text):
                raise Unfit(
                    "a secret in clear text, in a file others can read",
                    f"chmod o-r {self.file}, or write env:, file:, credential: or sealed:",
                )
            return Secret(text)
        if self.outside is None:
            return Secret("")
        looked_up = self.outside.look_up(text)
        kind.of.read(looked_up.secret.reveal())
        if looked_up.warning:
            self.note(line, f"{key.name}: {looked_up.warning}", "chmod o-r it")
        return looked_up.secret


def _refuse_swallowed_key(section: str, entry: Entry) -> None:
    """An indented `key = value` below a list is hardly one more word of it; raises Unfit."""
    for line in entry.value.split("\n")[1:]:
        if (match := _KEY_LIKE.match(line)) and match[1].lower() in keys_of(section):
            raise Unfit(
                f"the indented {match[1]} below goes on with this list", "begin keys where the line begins"
            )
