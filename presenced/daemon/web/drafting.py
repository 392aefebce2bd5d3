"""Settings that somebody tries out: a whole ini text, or only the sections that decide over presences.

Pure. The sections that decide hold no secrets, so they may be shown and typed on the page; a whole file
may hold some, and is read without looking any of them up and never shown again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from enum import StrEnum

from presenced.config.changes import Changes, compare
from presenced.config.inifile import parse
from presenced.config.problems import Problem
from presenced.config.reading import read_settings
from presenced.config.schema import SECTIONS, USER, keys_of
from presenced.config.settings import Secret, Settings, UserSection
from presenced.core.mapping import MappingTable

DECIDING = ("presence", "mapping", USER)
"""the sections that may be tried alone"""
_OTHERS = frozenset(SECTIONS) - set(DECIDING)
_NAME = "the text"


@dataclass(frozen=True, slots=True)
class Draft:
    """What a text would mean."""

    settings: Settings | None
    """None where there are problems"""
    problems: tuple[Problem, ...] = ()
    whole: bool = False
    """a whole file; otherwise what it does not have stays as it is in force"""
    changes: Changes = Changes()


def read_draft(text: str, current: Settings) -> Draft:
    """Read a changed file, or changed sections of it."""
    names = {section.name for section in parse(text, _NAME).sections}
    whole = bool(names & _OTHERS)
    read = read_settings(text if whole else text + _rest(names, current), current.path if whole else _NAME)
    if not isinstance(read, Settings):
        return Draft(None, read, whole)
    if not whole:
        read = replace(
            current,
            presence=read.presence if "presence" in names else current.presence,
            mapping=read.mapping if "mapping" in names else current.mapping,
            users=read.users if USER in names else current.users,
        )
    return Draft(read, (), whole, compare(_without_secrets(current), _without_secrets(read)))


def _rest(names: set[str], current: Settings) -> str:
    """What a file needs besides; it stands below the text, so that lines keep their numbers."""
    lines = [f"[pbx]\nmaster_pbx_name = {current.pbx.master_pbx_name or 'pbx'}\nlisten = 127.0.0.1:1"]
    if "presence" not in names:
        lines.append(f"[presence]\ntimezone = {current.presence.timezone}")
    return "\n" + "\n".join(lines) + "\n"


def _without_secrets(settings: Settings) -> Settings:
    """Secrets are not looked up for a dry run, so they are not compared either."""
    parts = {}
    for part in ("pbx", "exchange", "web", "alerts"):
        value = getattr(settings, part)
        hidden = {
            field.name: Secret("")
            for field in fields(value)
            if isinstance(getattr(value, field.name), Secret)
        }
        parts[part] = replace(value, **hidden)
    return replace(settings, **parts)


def mapping_text(values: Mapping[str, str]) -> str:
    """The `[mapping]` section with these values; keys left empty are left out."""
    lines = [
        f"{name} = {values[name].strip()}" for name in keys_of("mapping") if values.get(name, "").strip()
    ]
    return "\n".join(["[mapping]", *(_on_one_line(line) for line in lines)]) + "\n"


def mapping_values(table: MappingTable) -> dict[str, str]:
    """The table by key, as it is written."""
    return {
        key.name: setting_text(getattr(table, key.target), key.name) for key in keys_of("mapping").values()
    }


def deciding_text(settings: Settings) -> str:
    """The sections in force that decide over presences, as they could stand in the file."""
    blocks = [
        "\n".join(["[presence]", *_set_lines(settings, "presence", settings.presence)]),
        "\n".join(["[mapping]", *_all_lines("mapping", settings.mapping)]),
        *("\n".join([f"[user {user.pattern}]", *user_lines(user)]) for user in settings.users),
    ]
    return "\n\n".join(blocks) + "\n"


def user_lines(user: UserSection) -> list[str]:
    """What a `[user …]` section sets, as it could stand in the file."""
    own = {field.name: getattr(user, field.name) for field in fields(user)} | dict(user.mapping)
    return [
        f"{key.name} = {setting_text(own[key.target], key.name)}"
        for key in keys_of(USER).values()
        if own.get(key.target) is not None
    ]


def _set_lines(settings: Settings, section: str, values: object) -> Iterator[str]:
    """The keys that the file sets."""
    for key in keys_of(section).values():
        if (section, key.name) in settings.lines or not key.default:
            text = setting_text(getattr(values, key.target), key.name)
            if text:
                yield f"{key.name} = {text}"


def _all_lines(section: str, values: object) -> Iterator[str]:
    for key in keys_of(section).values():
        text = setting_text(getattr(values, key.target), key.name)
        if text:
            yield f"{key.name} = {text}"


def setting_text(value: object, key: str) -> str:
    """A value as it is written in the file."""
    if isinstance(value, bool):
        return ("show" if value else "hide") if key == "subject" else ("yes" if value else "no")
    if isinstance(value, timedelta):
        return str(value // timedelta(hours=1))
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return value.value if isinstance(value, StrEnum) else str(value)


def _on_one_line(text: str) -> str:
    return " ".join(text.split())
