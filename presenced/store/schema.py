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
    INSERT INTO windows (guid, window_start, window_end, read_at) {_IF_USER}
    ON CONFLICT (guid) DO UPDATE SET window_start = excluded.window_start,
    window_end = excluded.window_end, read_at = excluded.read_at"""
DROP_APPOINTMENTS = "DELETE FROM appointments WHERE guid IN (VALUES {rows})"
KEEP_APPOINTMENT = f"""
    INSERT INTO appointments (guid, place, id, starts, ends, show_as, subject, all_day, sensitivity,
    organizer, cancelled, response, prioritized, ordering) {_IF_USER}"""
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
    resolved_at, window_start, window_end, read_at, p.guid, activity, note
    FROM users AS u LEFT JOIN mailboxes AS m ON m.guid = u.guid LEFT JOIN windows AS w ON w.guid = u.guid
    LEFT JOIN presences AS p ON p.guid = u.guid ORDER BY u.guid"""
FETCH_APPOINTMENTS = """
    SELECT guid, id, starts, ends, show_as, subject, all_day, sensitivity, organizer, cancelled, response,
    prioritized, ordering FROM appointments ORDER BY guid, place"""
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
    """`keep_appointments`: the old ones go and the new ones come in one transaction."""
    rows = [_appointment_row(guid, place, one) for place, one in enumerate(appointments)]
    read: Row = (guid, instant(window.start), instant(window.end), instant(at))
    return Change(
        (DROP_APPOINTMENTS, KEEP_APPOINTMENT, KEEP_WINDOW),
        ([(guid,)], rows, [read]),
        (guid,),
    )


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


def read_appointment(row: Sequence[Any]) -> tuple[str, Appointment]:
    """A row of FETCH_APPOINTMENTS: the user's guid and the appointment."""
    guid, name, starts, ends, show_as, subject, all_day, sensitivity, organizer, *rest = row
    cancelled, response, prioritized, order = rest
    return guid, Appointment(
        name,
        read_instant(starts),
        read_instant(ends),
        _SHOW_AS[show_as],
        subject,
        bool(all_day),
        _SENSITIVITY[sensitivity],
        organizer,
        bool(cancelled),
        _RESPONSE[response],
        bool(prioritized),
        order,
    )


def read_user(row: Sequence[Any], appointments: Sequence[Appointment]) -> StoredUser:
    """A row of FETCH_USERS with the user's appointments; columns of missing rows are None."""
    guid, sip, cn, dn, node, loc, addresses, address, endpoint, group, state, reason, *rest = row
    resolved_at, window_start, window_end, read_at, touched, activity, note = rest
    return StoredUser(
        user=PbxUser(guid, sip, cn, dn, node, loc, tuple(json.loads(addresses))),
        mailbox=None if address is None else Mailbox(address, endpoint, group),
        resolved_at=None if resolved_at is None else read_instant(resolved_at),
        state=MailboxState.UNRESOLVED if state is None else MailboxState(state),
        reason=reason or "",
        appointments=tuple(appointments),
        window=None if read_at is None else Window(read_instant(window_start), read_instant(window_end)),
        read_at=None if read_at is None else read_instant(read_at),
        written=None if activity is None else Presence(activity, note),
        touched=touched is not None,
    )


def _appointment_row(guid: str, place: int, one: Appointment) -> Row:
    return (
        guid,
        place,
        one.id,
        instant(one.start),
        instant(one.end),
        one.show_as.value,
        one.subject,
        int(one.all_day),
        one.sensitivity.value,
        one.organizer,
        int(one.cancelled),
        one.response.value,
        int(one.prioritized),
        one.order,
    )
