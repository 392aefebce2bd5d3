"""The database as files: making room for it, and setting a corrupt one aside.

Calendars are private, so only the daemon's own account may read the file; SQLite gives the files it
makes beside the database (`-wal`, `-shm`) the same mode.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from presenced.core.ports import StoreProblem

COMPANIONS = ("-wal", "-shm", "-journal")


def make_room(path: Path) -> None:
    """Make directory (0700) and file (0600) where they lack; an existing file is narrowed to 0600.

    Raises StoreProblem where the account may not.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        if not path.is_file():
            raise StoreProblem(f"{path} is not a file", remedy="name a file in [store] url")
        path.chmod(0o600)
    except OSError as error:
        raise StoreProblem(
            f"{path} can't be made or opened: {error.strerror or error}",
            remedy="let the account that runs presenced own it and its directory, or name another file in "
            "[store] url",
        ) from error


def set_aside(path: Path, now: datetime) -> Path:
    """Rename a corrupt database, with what lies beside it, to `<name>.corrupt-<UTC time>`; the new name."""
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.corrupt-{stamp}-{number}")
    # the companions first: a fresh database must never meet the log of an old one
    for companion in COMPANIONS:
        with suppress(FileNotFoundError):
            path.with_name(path.name + companion).rename(aside.with_name(aside.name + companion))
    path.rename(aside)
    return aside
