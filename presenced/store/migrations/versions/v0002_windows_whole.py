"""A window and its appointments become one row.

Appointments are only ever replaced all together and read all together, and ten rows a mailbox were most of
what the store wrote. Now they are a JSON list in the row of their window, each a list of the fields of
`core.appointment.Appointment` in their order.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_KEPT = sa.text("""
    SELECT guid, id, starts, ends, show_as, subject, all_day, sensitivity, organizer, cancelled, response,
    prioritized, ordering FROM appointments ORDER BY guid, place""")
_FILL = sa.text("UPDATE windows SET appointments = :appointments WHERE guid = :guid")


def upgrade() -> None:
    """Move what is kept."""
    op.add_column("windows", sa.Column("appointments", sa.Text, nullable=False, server_default="[]"))
    connection = op.get_bind()
    for guid, rows in groupby(connection.execute(_KEPT), key=lambda row: row[0]):
        appointments = json.dumps([_fields(row) for row in rows], ensure_ascii=False, separators=(",", ":"))
        connection.execute(_FILL, {"guid": guid, "appointments": appointments})
    op.drop_table("appointments")


def _fields(row: Sequence[Any]) -> tuple[object, ...]:
    _, name, starts, ends, show_as, subject, all_day, sensitivity, organizer, *rest = row
    cancelled, response, prioritized, order = rest
    return (
        *(name, starts, ends, show_as, subject, bool(all_day), sensitivity, organizer),
        *(bool(cancelled), response, bool(prioritized), order),
    )
