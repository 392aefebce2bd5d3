"""From the text of an ini file to settings, or to everything that is wrong with it.

Pure but for what it asks of `Outside`: the same text and the same answers give the same settings.
"""

from __future__ import annotations

from typing import Any

from presenced.config.checks import check
from presenced.config.draft import Draft, Outside, UserDraft
from presenced.config.inifile import parse
from presenced.config.notices import add_notices
from presenced.config.problems import Problem, in_order
from presenced.config.settings import (
    AlertSettings,
    ExchangeSettings,
    LogSettings,
    PbxSettings,
    PresenceSettings,
    Settings,
    StoreSettings,
    UserSection,
    WebSettings,
)
from presenced.core.mapping import MappingTable

_USER_FIELDS = ("sync", "subject_shown", "language", "timezone")


def read_settings(text: str, file: str, outside: Outside | None = None) -> Settings | tuple[Problem, ...]:
    """The settings an ini text describes, or all its problems by line.

    `file` is the name in problems, and its folder is where relative paths start. Without `outside`
    secrets stay empty and no other file is asked for.
    """
    draft = Draft(file, outside)
    draft.take(parse(text, file))
    check(draft)
    if draft.problems:
        return in_order(draft.problems)
    add_notices(draft)
    return _settings(draft)


def _settings(draft: Draft) -> Settings:
    values: dict[str, dict[str, Any]] = draft.values
    return Settings(
        pbx=PbxSettings(**values["pbx"]),
        presence=PresenceSettings(**values["presence"]),
        mapping=MappingTable(**values["mapping"]),
        exchange=ExchangeSettings(**values["exchange"]),
        store=StoreSettings(**values["store"]),
        web=WebSettings(**values["web"]),
        alerts=AlertSettings(**values["alerts"]),
        log=LogSettings(**values["log"]),
        users=tuple(_user_section(user) for user in draft.users),
        path=draft.file,
        lines={place: found.line for place, found in draft.found.items()},
        notices=in_order(draft.notices),
    )


def _user_section(user: UserDraft) -> UserSection:
    own: dict[str, Any] = {name: value for name, value in user.values.items() if name in _USER_FIELDS}
    mapping = tuple((name, value) for name, value in user.values.items() if name not in _USER_FIELDS)
    return UserSection(user.pattern, user.line, mapping=mapping, **own)
