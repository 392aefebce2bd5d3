"""Calls of the port as SQL, and rows as values: everything about the tables but the connection.

What the statements have in common: whatever is kept about a user is kept only while the user is (a call
that was under way when the user left the PBX changes nothing), and goes with the user by the foreign key.
The tables themselves are made by `migrations/versions`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from presenced.core.appointment import Appointment, Response, Sensitivity, ShowAs
from presenced.core.ports import Mailbox, MailboxState, StoredUser, Write
from presenced.core.presence import Presence
from presenced.core.replica import PbxUser
from presenced.core.window import Window
from presenced.store.batch import Change, Row, Value

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

# `{rows}` stands for as many rows of parameters as a run takes (batch.py)
_IF_USER = "SELECT * FROM (VALUES {rows}) WHERE column1 IN (SELECT guid FROM users)"

KEEP_USER = """
    INSERT INTO users (guid, sip, cn, dn, node, loc, addresses) SELECT * FROM (VALUES {rows}) WHERE true
    ON CONFLICT (guid) DO UPDATE SET sip = excluded.sip, cn = excluded.cn, dn = excluded.dn,
    node = excluded.node, loc = excluded.loc, addresses = excluded.addresses"""
DROP_USER = "DELETE FROM users WHERE guid IN (VALUES {rows})"
KEEP_MAILBOX = f"""
    INSERT INTO mailboxes (guid, address, endpoint, grouping, state, reason, resolved_at) {_IF_USER}
    ON CONFLICT (guid) DO UPDATE SET address = excluded.address, endpoint = excluded.endpoint,
    grouping = excluded.grouping, state = excluded.state, reason = excluded.reason,
    resolved_at = excluded.resolved_at"""
KEEP_WINDOW = f"""
    INSERT INTO windows (guid, window_start, window_end, read_at, appointments) {_IF_USER}
    ON CONFLICT (guid) DO UPDATE SET window_start = excluded.window_start, window_end = excluded.window_end,
    read_at = excluded.read_at, appointments = excluded.appointments"""
KEEP_PRESENCE = f"""
    INSERT INTO presences (guid, activity, note) {_IF_USER}
    ON CONFLICT (guid) DO UPDATE SET activity = excluded.activity, note = excluded.note"""
RECORD_WRITE = "INSERT INTO writes (number, guid, at, activity, note, cause, rule, error) VALUES {rows}"
FORGET_WRITES = "DELETE FROM writes WHERE at < {rows}"
KEEP_VALUE = """
    INSERT INTO named_values (name, value) VALUES {rows}
    ON CONFLICT (name) DO UPDATE SET value = excluded.value"""
DROP_VALUE = "DELETE FROM named_values WHERE name IN (VALUES {rows})"

FETCH_USERS = """
    SELECT u.guid, sip, cn, dn, node, loc, addresses, address, endpoint, grouping, state, reason,
    resolved_at, window_start, window_end, read_at, appointments, p.guid, activity, note
    FROM users AS u LEFT JOIN mailboxes AS m ON m.guid = u.guid LEFT JOIN windows AS w ON w.guid = u.guid
    LEFT JOIN presences AS p ON p.guid = u.guid ORDER BY u.guid"""
FETCH_VALUE = "SELECT value FROM named_values WHERE name = ?"
LAST_WRITE = "SELECT coalesce(max(number), 0) FROM writes"


def user_kept(user: PbxUser) -> Change:
    """`keep_user`."""
    addresses = json.dumps(user.addresses, ensure_ascii=False)
    row = (user.guid, user.sip, user.cn, user.dn, user.node, user.loc, addresses)
    return Change((KEEP_USER,), ([row],), (user.guid,))


def users_dropped(guids: Sequence[str]) -> Change:
    """`drop_users`; at least one."""
    return Change((DROP_USER,), ([(guid,) for guid in guids],), tuple(guids))


def mailbox_kept(
    guid: str, mailbox: Mailbox | None, state: MailboxState, reason: str, at: datetime
) -> Change:
    """`keep_mailbox`."""
    where: Row = (None, "", "") if mailbox is None else (mailbox.address, mailbox.endpoint, mailbox.group)
    row: Row = (guid, *where, state.value, reason, instant(at))
    return Change((KEEP_MAILBOX,), ([row],), (guid,))


def appointments_kept(guid: str, appointments: Sequence[Appointment], window: Window, at: datetime) -> Change:
    """`keep_appointments`: a window and all that is in it is one row, so that a read is one."""
    row: Row = (
        guid,
        instant(window.start),
        instant(window.end),
        instant(at),
        _write_appointments(appointments),
    )
    return Change((KEEP_WINDOW,), ([row],), (guid,))


def write_expected(guid: str) -> Change:
    """`expect_write`."""
    return Change((KEEP_PRESENCE,), ([_unknown(guid)],), (guid,))


def write_kept(write: Write, number: int) -> Change:
    """`keep_write`; `number` grows from write to write and breaks ties of time."""
    activity, note = write.presence.activity, write.presence.note
    record: Row = (
        number,
        write.guid,
        instant(write.at),
        activity,
        note,
        write.cause,
        write.rule,
        write.error,
    )
    known: Row = _unknown(write.guid) if write.error else (write.guid, activity, note)
    return Change((RECORD_WRITE, KEEP_PRESENCE), ([record], [known]), (write.guid,))


def _unknown(guid: str) -> Row:
    """What the PBX has may be anything."""
    return guid, None, None


def writes_forgotten(before: datetime) -> Change:
    """`forget_writes`; concerns everybody."""
    return Change((FORGET_WRITES,), ([(instant(before),)],))


def value_kept(name: str, value: bytes | None) -> Change:
    """`keep_value`."""
    if value is None:
        return Change((DROP_VALUE,), ([(name,)],), (f"value {name}",))
    return Change((KEEP_VALUE,), ([(name, value)],), (f"value {name}",))


def writes_query(guid: str | None, since: datetime | None, limit: int) -> tuple[str, Row]:
    """`fetch_writes`: the statement and its parameters; a condition only where one is asked for."""
    conditions: list[str] = []
    values: list[Value] = []
    if guid is not None:
        conditions.append("guid = ?")
        values.append(guid)
    if since is not None:
        conditions.append("at >= ?")
        values.append(instant(since))
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    query = (
        f"SELECT guid, at, activity, note, cause, rule, error FROM writes {where} "  # noqa: S608 - constants
        "ORDER BY at DESC, number DESC LIMIT ?"
    )
    return query, (*values, max(0, limit))


def instant(moment: datetime) -> int:
    """Microseconds since 1970 UTC."""
    return (moment - EPOCH) // MICROSECOND


def read_instant(value: int) -> datetime:
    """The moment, aware, UTC."""
    return EPOCH + timedelta(microseconds=value)


_SHOW_AS = {one.value: one for one in ShowAs}
_SENSITIVITY = {one.value: one for one in Sensitivity}
_RESPONSE = {one.value: one for one in Response}


def read_write(row: Sequence[Any]) -> Write:
    """A row of `writes_query`."""
    guid, at, activity, note, cause, rule, error = row
    return Write(guid, read_instant(at), Presence(activity, note), cause, rule, error)


def read_user(row: Sequence[Any]) -> StoredUser:
    """A row of FETCH_USERS; columns of missing rows are None."""
    guid, sip, cn, dn, node, loc, addresses, address, endpoint, group, state, reason, *rest = row
    resolved_at, window_start, window_end, read_at, appointments, touched, activity, note = rest
    return StoredUser(
        user=PbxUser(guid, sip, cn, dn, node, loc, tuple(json.loads(addresses))),
        mailbox=None if address is None else Mailbox(address, endpoint, group),
        resolved_at=None if resolved_at is None else read_instant(resolved_at),
        state=MailboxState.UNRESOLVED if state is None else MailboxState(state),
        reason=reason or "",
        appointments=() if appointments is None else _read_appointments(appointments),
        window=None if read_at is None else Window(read_instant(window_start), read_instant(window_end)),
        read_at=None if read_at is None else read_instant(read_at),
        written=None if activity is None else Presence(activity, note),
        touched=touched is not None,
    )


_ENCODER = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))


def _write_appointments(appointments: Sequence[Appointment]) -> str:
    """A JSON list with a list of each one's fields in their order; instants as everywhere in the tables."""
    return _ENCODER.encode([(one.id, instant(one.start), instant(one.end), *one[3:]) for one in appointments])


def _read_appointments(text: str) -> tuple[Appointment, ...]:
    return tuple(map(_read_appointment, json.loads(text)))


def _read_appointment(fields: Sequence[Any]) -> Appointment:
    name, start, end, show_as, subject, all_day, sensitivity, organizer, cancelled, response, *rest = fields
    return Appointment(
        name,
        read_instant(start),
        read_instant(end),
        _SHOW_AS[show_as],
        subject,
        all_day,
        _SENSITIVITY[sensitivity],
        organizer,
        cancelled,
        _RESPONSE[response],
        *rest,
    )
