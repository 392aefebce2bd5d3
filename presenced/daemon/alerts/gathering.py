"""What is wrong at this moment, as causes: both doors, mailboxes by reason, credentials by days left.

Thirty-seven mailboxes that are blocked for the same reason are one cause, and mailboxes that fail only
because Exchange as a whole is away are none of their own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from presenced.config.settings import ExchangeSettings, PbxSettings, Settings, SyncType
from presenced.core.ports import MailboxState, PbxDoor, PbxLinkStatus, SignInStatus
from presenced.daemon.alerts.cases import Cause, Look
from presenced.daemon.keeper import Keeper
from presenced.daemon.roster import Roster
from presenced.daemon.watch import Watch

PBX = "pbx"
EXCHANGE = "exchange"
MAILBOXES = "mailboxes:"
STAGES = (timedelta(days=30), timedelta(days=7), timedelta(days=1))
"""settings.md section [alerts]"""
_NAMED = 10
"""mailboxes named in a notice"""
_VARYING = re.compile(r"\b[0-9a-f]{8,}\b|[0-9]+")


@dataclass(frozen=True, slots=True)
class Credential:
    """Something that expires."""

    key: str
    """its own name, for ever"""
    what: str
    """what it is and where, as in `the certificate shown to the PBX (/etc/…)`"""
    expires_at: datetime | None
    """None: not known yet"""
    remedy: str


Credentials = Callable[[], Iterable[Credential]]
"""what is shown to others now, without asking a disk"""


@dataclass(frozen=True, slots=True)
class View:
    """Where to look."""

    roster: Roster
    watch: Watch
    pbx: Callable[[], PbxDoor]


def gather(
    view: View, settings: Settings, credentials: Iterable[Credential], now: datetime, *, outage: str = ""
) -> Look:
    """Everything wrong now.

    `outage` is why Exchange was away until lately ("" where it was not): mailboxes that still fail for
    that reason have only not been read again yet.
    """
    shown = [*credentials, *_app_certificate(view.watch, settings.exchange)]
    causes = [*_pbx(view, settings.pbx), *_credentials(shown, now)]
    hidden = tuple(_key_of(each) for each in shown if each.expires_at is None)
    if settings.exchange.sync_type is not SyncType.DISABLED:
        healthy, reason = view.watch.health()
        excuse = f"{outage}\n{'' if healthy else reason}".casefold()
        if not healthy:
            causes.append(_exchange(view, reason))
        if excuse.strip():
            hidden += (MAILBOXES,)
        causes.extend(_mailboxes(view.roster, excuse))
    return Look(tuple(causes), hidden)


def _pbx(view: View, settings: PbxSettings) -> Iterator[Cause]:
    if view.roster.pbx is not None:
        return
    if settings.mode == "dial":
        remedy = (
            f"Check that the PBX is up and answers at {settings.url}, and that app_name and app_password in"
            " [pbx] are those of its App object."
        )
    else:
        remedy = (
            f"Check that the PBX {settings.master_pbx_name} is up, that the URL of its App object leads to"
            f" port {settings.listen.port} of this machine, and that app_name and app_password in [pbx] are"
            " those of the App object."
        )
    yield Cause(
        PBX,
        f"no link to the PBX {settings.master_pbx_name}",
        _sentence(view.roster.link_reason),
        remedy,
        "Everybody's calendar presence stays as it was; it is brought up to date when the link is back.",
        tuple(_link_line(each) for each in view.pbx().status()[:_NAMED]),
    )


def _link_line(link: PbxLinkStatus) -> str:
    detail = f": {link.detail}" if link.detail else ""
    return f"{link.name or 'a PBX'} at {link.peer} ({link.role}){detail}"


def _exchange(view: View, reason: str) -> Cause:
    remedy = _remedy_for(view, reason)
    return Cause(
        EXCHANGE,
        "Exchange can't be reached or refuses",
        _sentence(reason.replace(f"; {remedy}", "") if remedy else reason),
        _sentence(remedy)
        or "Check the server named, the account in [exchange] and the network between; `presenced check`"
        " and the log say more.",
        "Appointments known go on deciding; changes of calendars are not seen.",
    )


def _remedy_for(view: View, reason: str) -> str:
    """What the door itself advises, of the sign-in or when it told some mailbox the same."""
    sign_in = _sign_in(view.watch)
    if sign_in is not None and not sign_in.healthy and sign_in.remedy:
        return sign_in.remedy
    advice = (
        keeper.remedy
        for keeper in view.roster.keepers.values()
        if keeper.remedy and keeper.reason and keeper.reason in reason
    )
    return next(advice, "")


def _sign_in(watch: Watch) -> SignInStatus | None:
    return watch.door.status().sign_in if watch.door is not None else None


def _mailboxes(roster: Roster, excuse: str) -> Iterator[Cause]:
    """One cause for each state and reason, whatever numbers and names differ."""
    groups: dict[tuple[MailboxState, str], dict[str, Keeper]] = {}
    for keeper in roster.keepers.values():
        if keeper.state not in {MailboxState.BLOCKED, MailboxState.FAILING} or not keeper.sync:
            continue
        if keeper.state is MailboxState.FAILING and keeper.reason.casefold() in excuse:
            continue
        alike = _VARYING.sub("#", _impersonal(keeper).casefold())
        groups.setdefault((keeper.state, alike), {}).setdefault(_name(keeper), keeper)
    for (state, alike), members in sorted(groups.items()):
        digest = hashlib.sha256(alike.encode()).hexdigest()[:16]
        yield _group(f"{MAILBOXES}{state}:{digest}", state, members)


def _group(key: str, state: MailboxState, members: dict[str, Keeper]) -> Cause:
    names = sorted(members)
    first = members[names[0]]
    many = len(names) > 1
    who = f"{len(names)} mailboxes" if many else f"the mailbox {names[0]}"
    reason = _impersonal(first) if many else first.reason
    verb = "blocked" if state is MailboxState.BLOCKED else "failing"
    more = [f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return Cause(
        key,
        f"{who} {verb}: {reason}",
        _sentence(reason),
        _sentence(first.remedy) or "`presenced explain` with the user's name, and the log, say more.",
        "Their users' calendar presence goes by what was read last.",
        (*names[:_NAMED], *more) if many else (),
    )


def _name(keeper: Keeper) -> str:
    return keeper.mailbox.address if keeper.mailbox else keeper.user.sip


def _impersonal(keeper: Keeper) -> str:
    """The reason without the name of the one mailbox."""
    names = {_name(keeper), *keeper.user.addresses} - {""}
    pattern = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.sub(pattern, "the mailbox", keeper.reason, flags=re.IGNORECASE) if pattern else keeper.reason


def _app_certificate(watch: Watch, settings: ExchangeSettings) -> Iterator[Credential]:
    """The certificate the app signs in with; its end is known once it was used."""
    if settings.certificate is None or settings.sync_type is SyncType.DISABLED:
        return
    sign_in = _sign_in(watch)
    yield Credential(
        "app-certificate",
        f"the certificate the app signs in with ({settings.certificate})",
        sign_in.credential_expires_at if sign_in is not None else None,
        "make a new one, upload it under Certificates & secrets of the app registration and put it into the"
        " file; it is taken without a restart",
    )


def _key_of(credential: Credential) -> str:
    return f"credential:{credential.key}"


def _credentials(credentials: Iterable[Credential], now: datetime) -> Iterator[Cause]:
    for credential in credentials:
        if credential.expires_at is None:
            continue
        left = credential.expires_at - now
        stage = sum(left <= each for each in STAGES) - 1
        if stage < 0:
            continue
        day = credential.expires_at.strftime("%Y-%m-%d %H:%M UTC")
        summary = f"{credential.what} expires in {_days(left)}" if left > timedelta() else ""
        yield Cause(
            _key_of(credential),
            summary or f"{credential.what} has expired",
            f"{_upper(credential.what)} {'expires' if summary else 'expired'} on {day}.",
            _sentence(credential.remedy),
            "Then the connection it is for can't be made any more." if summary else "",
            stage=stage,
            patient=False,
        )


def _days(left: timedelta) -> str:
    if left < timedelta(days=1):
        return f"{max(left // timedelta(hours=1), 1)} h"
    return f"{left.days} days" if left.days > 1 else "1 day"


def _sentence(text: str) -> str:
    """A capital letter and a full stop, where there is anything to say."""
    text = text.strip()
    return text if not text or text[-1] in ".!?…" else f"{_upper(text)}."


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
