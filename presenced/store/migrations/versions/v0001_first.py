"""The first schema.

Instants are integers, microseconds since 1970 UTC: exact, short, and compared without parsing.
Appointments have one row each under their user's guid and their place in the list, in a table that is
itself the index (WITHOUT ROWID), so that loading everybody is one walk in order.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _replica()
    _calendars()
    _presences()
    op.create_table(
        "named_values",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )


def _replica() -> None:
    op.create_table(
        "users",
        sa.Column("guid", sa.Text, primary_key=True),
        _text("sip"),
        _text("cn"),
        _text("dn"),
        _text("node"),
        _text("loc"),
        sa.Column("addresses", sa.Text, nullable=False),  # a JSON list
        sqlite_with_rowid=False,
    )
    op.create_table(
        "mailboxes",
        _owner(),
        sa.Column("address", sa.Text),  # NULL: no mailbox was found
        _text("endpoint"),
        _text("grouping"),
        _text("state"),
        _text("reason"),
        _instant("resolved_at"),
        sqlite_with_rowid=False,
    )


def _calendars() -> None:
    op.create_table(
        "windows",
        _owner(),
        _instant("window_start"),
        _instant("window_end"),
        _instant("read_at"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "appointments",
        _owner(),
        sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
        _text("id"),
        _instant("starts"),
        _instant("ends"),
        _text("show_as"),
        sa.Column("subject", sa.Text),  # NULL: may not be shown
        _flag("all_day"),
        _text("sensitivity"),
        _text("organizer"),
        _flag("cancelled"),
        _text("response"),
        _flag("prioritized"),
        sa.Column("ordering", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )


def _presences() -> None:
    op.create_table(
        "presences",  # what the PBX confirmed last; NULL: unknown, no row: nothing was ever written
        _owner(),
        sa.Column("activity", sa.Text),
        sa.Column("note", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "writes",  # the record; it outlives its user
        sa.Column("number", sa.Integer, primary_key=True),
        _text("guid"),
        _instant("at"),
        _text("activity"),
        _text("note"),
        _text("cause"),
        _text("rule"),
        _text("error"),
    )
    op.create_index("writes_by_time", "writes", ["at", "number"])
    op.create_index("writes_by_user", "writes", ["guid", "at", "number"])


def _owner() -> sa.Column[str]:
    return sa.Column("guid", sa.Text, sa.ForeignKey("users.guid", ondelete="CASCADE"), primary_key=True)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _flag(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False)


def _instant(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)
