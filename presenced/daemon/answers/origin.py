"""Where a value comes from that decides over a user's presence: a line of the ini file, or the default."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum

from presenced.config.settings import Settings, UserSection
from presenced.core.mapping import MappingTable


@dataclass(frozen=True, slots=True)
class Origin:
    """One setting as it holds for one user."""

    key: str
    value: str
    """as it would be written in the file"""
    where: str
    """`FILE:LINE`, with the user's section where it says so, or `default`"""

    def __str__(self) -> str:
        return f"{self.key} = {self.value} ({self.where})"


class Origins:
    """The settings of the user with these addresses, each with the place where it is set."""

    def __init__(self, settings: Settings, addresses: tuple[str, ...]) -> None:
        self._settings = settings
        self._own = settings.for_user(addresses)
        self.section = _section(settings, self._own.section)

    def of_person(self) -> tuple[Origin, ...]:
        """What holds for the user beside the mapping."""
        own, section = self._own, self.section
        return (
            self._origin("user", "sync", _word(own.sync), section is not None and section.sync is not None),
            self._origin(
                "presence",
                "subject",
                "show" if own.subject_shown else "hide",
                section is not None and section.subject_shown is not None,
            ),
            self._origin(
                "presence", "language", own.language, section is not None and section.language is not None
            ),
            self._origin(
                "presence", "timezone", own.timezone, section is not None and section.timezone is not None
            ),
        )

    def of_mapping(self) -> tuple[Origin, ...]:
        """Every key of the mapping, in the order of the table."""
        return tuple(self.of_key(field.name) for field in fields(MappingTable))

    def of_key(self, key: str) -> Origin:
        """One key of the mapping."""
        mine = {name for name, _ in self.section.mapping} if self.section else set()
        return self._origin("mapping", key, _word(getattr(self._own.mapping, key)), key in mine)

    def _origin(self, section: str, key: str, value: str, own: bool) -> Origin:
        if own and self.section is not None:
            place = f"[user {self.section.pattern}], {self._settings.path}:{self.section.line}"
            return Origin(key, value, place)
        line = self._settings.lines.get((section, key))
        return Origin(key, value, "default" if line is None else f"{self._settings.path}:{line}")


def _section(settings: Settings, pattern: str) -> UserSection | None:
    """The section that applies; of two with the same pattern the first does."""
    return next((section for section in settings.users if pattern and section.pattern == pattern), None)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "(empty)"
    return value.value if isinstance(value, StrEnum) else str(value)
