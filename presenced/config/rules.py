"""From settings to what the core decides with."""

from __future__ import annotations

from presenced.config.settings import PresenceSettings, UserSettings
from presenced.core.admission import Admission
from presenced.core.mapping import Mapping
from presenced.core.note import NoteStyle
from presenced.core.priority import PriorityWords


def mapping_of(user: UserSettings, presence: PresenceSettings) -> Mapping:
    """The mapping, and how its outcome is worded, for one user."""
    style = NoteStyle(user.language, user.timezone, presence.max_title_length, presence.until_unit)
    return Mapping(user.mapping, style)


def admission_of(user: UserSettings, presence: PresenceSettings) -> Admission:
    """What is kept of one user's appointments."""
    return Admission(
        user.timezone,
        user.subject_shown,
        PriorityWords(presence.priority_words, presence.priority_exclude_words),
    )
