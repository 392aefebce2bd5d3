"""Why a user's presence is what it is: everything that led to it, as one JSON object (cli.md, `explain`).

It decides with the daemon's own function on the appointments the daemon has, so it can't tell another
story than the one that was written. A title is shown only where the note may show it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from presenced.core.appointment import Appointment
from presenced.core.decision import Decision, IgnoredAppointment, decide
from presenced.core.mapping import Ignored
from presenced.core.ports import Store, StoreProblem, Write
from presenced.core.presence import Presence
from presenced.core.reading import without_titles
from presenced.daemon.answers.origin import Origin, Origins
from presenced.daemon.answers.sentences import BEATEN, CAUSES, IGNORED, RULES
from presenced.daemon.engine import Engine
from presenced.daemon.keeper import Keeper

HIDDEN = "(hidden)"
UNTITLED = "(no title)"
_WRITES = 10
"""shown of the record"""
_SEARCHED = 2000
"""looked through for those before an instant in the past"""


@dataclass(frozen=True, slots=True)
class Case:
    """Whose presence, and when."""

    keeper: Keeper
    origins: Origins
    at: datetime
    now: datetime

    def local(self, instant: datetime | None) -> str | None:
        """ISO 8601 in the user's presence zone."""
        return None if instant is None else instant.astimezone(self.keeper.mapping.style.zone).isoformat()

    def clock(self, instant: datetime) -> str:
        """For a sentence: the time alone on the day asked about, the date before it on another day."""
        zone = self.keeper.mapping.style.zone
        local = instant.astimezone(zone)
        same_day = local.date() == self.at.astimezone(zone).date()
        return f"{local:%H:%M}" if same_day else f"{local:%Y-%m-%d %H:%M}"


async def explain(
    engine: Engine, store: Store, keeper: Keeper, at: datetime | None, now: datetime
) -> dict[str, Any]:
    """The whole explanation; `at` None: as of now. Times are in the user's presence zone."""
    case = Case(keeper, Origins(engine.settings, keeper.user.addresses), now if at is None else at, now)
    decision, why_not = _decide(case, engine)
    return {
        "at": case.local(case.at),
        "now": case.local(case.now),
        "timezone": keeper.admission.timezone,
        "user": _user(case),
        "mailbox": _mailbox(case, engine),
        "decision": None if decision is None else _decision(case, decision),
        "undecided": why_not,
        "cautions": _cautions(case, engine),
        "settings": [_origin(origin) for origin in case.origins.of_person()],
        "mapping": [_origin(origin) for origin in case.origins.of_mapping()],
        "pbx": _pbx(case, engine),
        **await _writes(case, store),
        "next": _next(case, engine, decision),
    }


def _user(case: Case) -> dict[str, Any]:
    user, section = case.keeper.user, case.origins.section
    return {
        "guid": user.guid,
        "sip": user.sip,
        "cn": user.cn,
        "addresses": list(user.addresses),
        "section": None if section is None else f"[user {section.pattern}]",
    }


def _mailbox(case: Case, engine: Engine) -> dict[str, Any]:
    keeper, watch = case.keeper, engine.watch
    mailbox, window = keeper.mailbox, keeper.window
    outcomes = {answer.address: answer.outcome for answer in keeper.answers}
    unasked = "not asked since the daemon started" if not keeper.answers else "not asked"
    polled = watch.is_polled(mailbox.address) if mailbox else None
    return {
        "address": mailbox.address if mailbox else None,
        "endpoint": mailbox.endpoint if mailbox else None,
        "group": mailbox.group if mailbox else None,
        "candidates": [
            {"address": address, "outcome": outcomes.get(address, unasked)}
            for address in dict.fromkeys((*keeper.user.addresses, *outcomes))
        ],
        "resolved_at": case.local(keeper.resolved_at),
        "state": keeper.state.value if keeper.sync else "disabled",
        "reason": keeper.reason if keeper.sync else "sync = no",
        "remedy": keeper.remedy if keeper.sync else "",
        "stale": keeper.is_stale(case.now),
        "failures": keeper.failures,
        "followed": {None: None, True: "polling", False: "streaming"}[polled],
        "last_proof_of_life": case.local(watch.signs.get(mailbox.address)) if mailbox else None,
        "last_read": case.local(keeper.read_at),
        "window": None if window is None else [case.local(window.start), case.local(window.end)],
        "appointments": len(keeper.appointments),
    }


# --- the decision ---


def _decide(case: Case, engine: Engine) -> tuple[Decision | None, str]:
    """What the daemon decides at that instant, or why it decides nothing."""
    keeper = case.keeper
    if not engine.calendars_wanted:
        return None, "no calendar is followed at all: sync_type = disabled"
    if not keeper.sync:
        (sync,) = (origin for origin in case.origins.of_person() if origin.key == "sync")
        return None, f"this user's calendar is not followed: {sync}"
    if keeper.window is None:
        if keeper.mailbox is None:
            return None, "there is no mailbox to read"
        return None, "the calendar has not been read yet, so the PBX keeps what it has"
    if case.at >= keeper.window.end:
        end = case.clock(keeper.window.end)
        return (
            None,
            f"the calendar is known until {end} only; without a new read the presence is cleared then",
        )
    return decide(keeper.appointments, keeper.mapping, case.at), ""


def _decision(case: Case, decision: Decision) -> dict[str, Any]:
    because = decision.because
    by_id = {appointment.id: appointment for appointment in because.appointments}
    current = by_id.get(because.current) if because.current is not None else None
    return {
        **_presence(case, decision.presence),
        "until": case.local(decision.until),
        "rule": because.rule.value,
        "sentence": RULES[because.rule],
        "current": None if current is None else _current(case, current),
        "ignored": [
            _appointment(case, by_id[one.id])
            | {"why": one.why.value, "sentence": _why(case, by_id[one.id], one, current)}
            for one in because.ignored
        ],
    }


def _current(case: Case, current: Appointment) -> dict[str, Any]:
    mapped = case.origins.of_key(case.keeper.mapping.key_of(current))
    return _appointment(case, current) | {"mapped": _origin(mapped)}


def _appointment(case: Case, appointment: Appointment) -> dict[str, Any]:
    return {
        "id": appointment.id,
        "title": _title(case, appointment),
        "start": case.local(appointment.start),
        "end": case.local(appointment.end),
        "all_day": appointment.all_day,
        "show_as": appointment.show_as.value,
        "prioritized": appointment.prioritized,
    }


def _title(case: Case, appointment: Appointment) -> str:
    """A title read before the settings began to hide it may still be here until the next read."""
    shown = case.keeper.admission.subject_shown and not appointment.sensitivity.hides_title
    if appointment.subject is None or not shown:
        return HIDDEN
    return appointment.subject or UNTITLED


def _why(
    case: Case, appointment: Appointment, ignored: IgnoredAppointment, current: Appointment | None
) -> str:
    """Why this one is not current, in a sentence."""
    if ignored.why in IGNORED:
        return IGNORED[ignored.why]
    if ignored.why is Ignored.MAPPED_IGNORE:
        key = case.keeper.mapping.key_of(appointment)
        return f"the mapping ignores it: {case.origins.of_key(key)}"
    if ignored.why is Ignored.LATER:
        return f"it begins at {case.clock(appointment.start)}"
    if appointment.end <= case.at or current is None:
        return f"over since {case.clock(appointment.end)}"
    both = decide((current, appointment), case.keeper.mapping, case.at)
    return BEATEN[both.because.rule]


def _cautions(case: Case, engine: Engine) -> list[str]:
    """What to keep in mind when the decision is read."""
    keeper, cautions = case.keeper, []
    if keeper.window is not None and case.at < keeper.window.start:
        start = case.clock(keeper.window.start)
        cautions.append(
            f"appointments that had ended by {start}, when the calendar was last read, are not known any "
            "more; the record tells what was written then"
        )
    planned = engine.watch.next_read(keeper.mailbox.address) if keeper.mailbox else None
    if case.at > case.now and planned is not None and planned[0] <= case.at:
        cautions.append(
            f"this is what is known now; the calendar is read again at {case.clock(planned[0])}, before then"
        )
    if keeper.is_stale(case.now) and keeper.read_at is not None:
        cautions.append(f"nothing newer is known than what was read at {case.clock(keeper.read_at)}")
    return cautions


# --- what was and what will be written ---


def _pbx(case: Case, engine: Engine) -> dict[str, Any]:
    keeper, roster = case.keeper, engine.roster
    return {
        "linked": roster.pbx is not None,
        "reason": "" if roster.pbx is not None else roster.link_reason,
        "has": None if keeper.written is None else _presence(case, keeper.written),
        "confirmed_at": case.local(keeper.written_at),
        "to_write": keeper.to_write() is not None,
        "error": keeper.write_error,
        "failures": keeper.write_failures,
    }


async def _writes(case: Case, store: Store) -> dict[str, Any]:
    """The record up to that instant, newest first."""
    past = case.at < case.now
    try:
        writes = await store.fetch_writes(guid=case.keeper.user.guid, limit=_SEARCHED if past else _WRITES)
    except StoreProblem as problem:
        return {"writes": [], "writes_problem": problem.reason}
    shown = [write for write in writes if not past or write.at <= case.at][:_WRITES]
    return {"writes": [_write(case, write) for write in shown], "writes_problem": ""}


def _write(case: Case, write: Write) -> dict[str, Any]:
    return {
        "at": case.local(write.at),
        **_presence(case, write.presence),
        "cause": write.cause,
        "sentence": CAUSES.get(write.cause, write.cause),
        "rule": write.rule,
        "error": write.error,
    }


def _next(case: Case, engine: Engine, decision: Decision | None) -> list[dict[str, Any]]:
    """What happens next, in order."""
    coming: list[dict[str, Any]] = []
    keeper, window = case.keeper, case.keeper.window
    if decision is not None and window is not None:
        due = min(decision.deadline, window.end)
        then = decide(keeper.appointments, keeper.mapping, due).presence if due < window.end else None
        coming.append(
            {"at": due, "what": "decided again", "then": None if then is None else _presence(case, then)}
        )
    planned = engine.watch.next_read(keeper.mailbox.address) if keeper.mailbox else None
    if planned is not None:
        coming.append({"at": planned[0], "what": f"the calendar is read again ({planned[1]})"})
    for due_at, what in (
        (engine.resolving.due_at(keeper.user.guid), "the mailbox is looked up again"),
        (engine.writer.due_at(keeper.user.guid), "the presence is sent to the PBX"),
    ):
        if due_at is not None:
            coming.append({"at": due_at, "what": what})
    return [one | {"at": case.local(one["at"])} for one in sorted(coming, key=lambda one: one["at"])]


def _presence(case: Case, presence: Presence) -> dict[str, str]:
    """As written; without the titles of a user who hides them, whenever it was written."""
    note, keeper = presence.note, case.keeper
    if not keeper.admission.subject_shown:
        note = without_titles(note, keeper.mapping.style.words.private)
    return {"activity": presence.activity, "note": note}


def _origin(origin: Origin) -> dict[str, str]:
    return {"key": origin.key, "value": origin.value, "where": origin.where}
