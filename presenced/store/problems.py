"""SQLite's errors in words an admin can use: what happened to which file, and what to do."""

from __future__ import annotations

from pathlib import Path

from presenced.core.ports import StoreProblem

_REMEDIES = {
    "SQLITE_FULL": "make room on the disk",
    "SQLITE_READONLY": "let the account that runs presenced own the file and its directory",
    "SQLITE_CANTOPEN": "let the account that runs presenced own the file and its directory",
    "SQLITE_PERM": "let the account that runs presenced own the file and its directory",
    "SQLITE_BUSY": "end the other program that writes to the file",
    "SQLITE_LOCKED": "end the other program that writes to the file",
    "SQLITE_IOERR": "look into the system's log for disk errors",
    "SQLITE_CORRUPT": "restart presenced: it sets the file aside and makes a new one",
    "SQLITE_NOTADB": "restart presenced: it sets the file aside and makes a new one",
}


def problem_at(path: Path, error: Exception) -> StoreProblem:
    """What SQLite refused, as the port says it."""
    name = error_name(error)
    remedy = next((text for code, text in _REMEDIES.items() if name.startswith(code)), "")
    return StoreProblem(f"{path} can't be read or written: {error}", remedy=remedy)


def error_name(error: Exception) -> str:
    """SQLite's name for it, such as SQLITE_IOERR_READ; "" where it isn't SQLite's."""
    return str(getattr(error, "sqlite_errorname", ""))
