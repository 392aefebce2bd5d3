"""What to do about each way Exchange says no, and the sentence the admin reads.

One table for every operation, so that a code means the same whether it comes from a read, a
subscription or a stream. Sources: exchange.md sections 1 and 4; Microsoft's "Handling
notification-related errors in EWS in Exchange" and the ResponseCode page of the EWS reference.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from presenced.calendars.ews.envelope import DYING, POLICY, UNREADABLE, Trouble
from presenced.calendars.problems import HOURLY, MINUTES, Recovery
from presenced.core.ports import DoorProblem, MailboxProblem, MailboxState


class Step(StrEnum):
    """What happens next."""

    RESUBSCRIBE = "resubscribe"
    """the subscription (or cursor) is gone: a new one, then read"""
    REDISCOVER = "rediscover"
    """the mailbox may live elsewhere: look again after a pause"""
    OTHER_ANCHOR = "other-anchor"
    """this mailbox has too many connections: charge another, use fewer"""
    POLL = "poll"
    """this mailbox can't be subscribed: ask it for changes instead"""
    BACK_OFF = "back-off"
    """this budget is spent: wait as asked"""
    BLOCK = "block"
    """nothing helps until an admin acts: stop calling, look again hourly"""
    NARROW = "narrow"
    """too much at once: ask for half"""
    SIGN_IN = "sign-in"
    """the account is refused: nobody can be served"""
    FAIL = "fail"
    """try again later"""


_ENABLE = (
    "run Set-OrganizationConfig -EwsEnabled $true, add the app's client id to EWSAllowedAppIDs, and run "
    "Set-CASMailbox -EwsEnabled $true for the mailbox; or move to sync_type = graph"
)
_IMPERSONATE = (
    "on-premises run New-ManagementRoleAssignment -Role ApplicationImpersonation -User <account>; in "
    "Exchange Online grant the app the application permission full_access_as_app"
)
_ALLOW = (
    "check EwsEnabled, EwsApplicationAccessPolicy and the EWS allow list (Get-OrganizationConfig, "
    "Get-CASMailbox), and any proxy before the server; the user agent is presenced"
)
_VERSION = "EWS of Exchange 2013 or later is needed"


_GONE = Recovery(Step.RESUBSCRIBE, "Exchange lost the subscription")
_MOVED = Recovery(Step.REDISCOVER, "the mailbox is not where it was", pause=timedelta(minutes=1))
_BUSY = Recovery(Step.BACK_OFF, "Exchange is busy and asks to wait")
_DENIED = Recovery(
    Step.BLOCK,
    "the account may not impersonate this mailbox",
    _IMPERSONATE,
    HOURLY,
    MailboxState.BLOCKED,
)
_UNKNOWN = Recovery(
    Step.REDISCOVER,
    "Exchange knows no mailbox of this address",
    "check the address in the PBX, and that the user has a mailbox",
    HOURLY,
    MailboxState.UNRESOLVED,
)
_NO_CALENDAR = Recovery(
    Step.BLOCK,
    "the mailbox has no calendar that can be read",
    "open the mailbox once with Outlook so that its calendar is made",
    HOURLY,
    MailboxState.BLOCKED,
)
_PASSING = Recovery(Step.FAIL, "Exchange could not answer")
_MANGLED = Recovery(
    Step.FAIL,
    "what the server streams can't be read",
    "check what stands between this program and Exchange (debug_protocol = yes shows it)",
)
_TOO_OLD = Recovery(
    Step.BLOCK, "the server does not take our requests", _VERSION, HOURLY, MailboxState.BLOCKED
)
_ACCOUNT = Recovery(
    Step.SIGN_IN, "Exchange refuses the account", "check user, password or app registration in [exchange]"
)

_TABLE: dict[str, Recovery[Step]] = {
    # subscriptions
    "ErrorSubscriptionNotFound": _GONE,
    "ErrorInvalidSubscription": _GONE,
    "ErrorExpiredSubscription": _GONE,
    "ErrorSubscriptionUnsubscribed": _GONE,
    "ErrorReadEventsFailed": _GONE,
    "ErrorMissedNotificationEvents": _GONE,
    "ErrorInvalidWatermark": _GONE,
    "ErrorInvalidSyncStateData": Recovery(Step.RESUBSCRIBE, "Exchange no longer knows the cursor"),
    "ErrorSubscriptionAccessDenied": _DENIED,
    "ErrorExceededSubscriptionCount": Recovery(
        Step.POLL,
        "the mailbox has as many subscriptions as it may have",
        "raise EwsMaxSubscriptions of its throttling policy; until then it is asked for changes",
        HOURLY,
        MailboxState.POLLED,
    ),
    "ErrorSubscriptionDelegateAccessNotSupported": Recovery(
        Step.POLL, "the mailbox can't be subscribed", "", HOURLY, MailboxState.POLLED
    ),
    DYING: Recovery(
        Step.POLL,
        "the mailbox's subscriptions die as soon as they are made",
        "look at the mailbox's database and server; until then it is asked for changes",
        HOURLY,
        MailboxState.POLLED,
    ),
    "ErrorExceededConnectionCount": Recovery(
        Step.OTHER_ANCHOR,
        "the mailbox has as many connections as it may have",
        "raise EwsMaxConcurrency of its throttling policy if this persists",
    ),
    UNREADABLE: _MANGLED,
    # where the mailbox lives
    "ErrorProxyRequestNotAllowed": _MOVED,
    "ErrorProxyCallFailed": _MOVED,
    "ErrorProxyServiceDiscoveryFailed": _MOVED,
    "ErrorNoRespondingCASInDestinationSite": _MOVED,
    "ErrorMailboxMoveInProgress": Recovery(
        Step.REDISCOVER, "the mailbox is being moved", pause=timedelta(minutes=5)
    ),
    "ErrorMailboxStoreUnavailable": Recovery(
        Step.REDISCOVER, "the database of the mailbox is not available", pause=timedelta(minutes=2)
    ),
    "ErrorMailboxFailover": _MOVED,
    "ErrorNonExistentMailbox": _UNKNOWN,
    "ErrorMissingEmailAddress": _UNKNOWN,
    "ErrorNonPrimarySmtpAddress": Recovery(
        Step.REDISCOVER, "the address is not the mailbox's primary one", pause=MINUTES
    ),
    "ErrorInvalidSmtpAddress": _UNKNOWN,
    # throttling
    "ErrorServerBusy": _BUSY,
    "ErrorTooManyObjectsOpened": _BUSY,
    "Http429": _BUSY,
    "Http503": _BUSY,
    "ErrorExceededFindCountLimit": Recovery(
        Step.NARROW, "the calendar holds more appointments than Exchange hands out at once"
    ),
    "ErrorCalendarViewRangeTooBig": Recovery(Step.NARROW, "the window is longer than Exchange allows"),
    # permission
    "ErrorAccessDenied": _DENIED,
    "ErrorImpersonateUserDenied": _DENIED,
    "ErrorImpersonationDenied": _DENIED,
    "ErrorImpersonationFailed": _DENIED,
    "ErrorAccountDisabled": Recovery(
        Step.BLOCK,
        "the user's account is disabled in Active Directory",
        "enable it, or give the user sync = no",
        HOURLY,
        MailboxState.BLOCKED,
    ),
    "ErrorItemNotFound": _NO_CALENDAR,
    "ErrorFolderNotFound": _NO_CALENDAR,
    "ErrorCalendarFolderIsInvalidForCalendarView": _NO_CALENDAR,
    POLICY: Recovery(
        Step.BLOCK, "EWS is switched off for this mailbox by policy", _ENABLE, HOURLY, MailboxState.BLOCKED
    ),
    "Http403": Recovery(
        Step.BLOCK, "the server forbids EWS for this mailbox", _ALLOW, HOURLY, MailboxState.BLOCKED
    ),
    "Http401": _ACCOUNT,
    "Http440": _ACCOUNT,
    "Http456": Recovery(
        Step.SIGN_IN, "Exchange has locked the account", "unlock it and sign in once in a browser"
    ),
    # versions and requests
    "ErrorInvalidServerVersion": _TOO_OLD,
    "ErrorIncorrectSchemaVersion": _TOO_OLD,
    "ErrorInvalidSchemaVersionForMailboxVersion": _TOO_OLD,
    "ErrorSchemaValidation": _TOO_OLD,
    # the wrong door
    "Http301": _MOVED,
    "Http302": _MOVED,
    "Http307": _MOVED,
    "Http308": _MOVED,
    "Http404": Recovery(Step.REDISCOVER, "there is no EWS at this URL", "check ews_url", MINUTES),
    "Http405": Recovery(Step.REDISCOVER, "there is no EWS at this URL", "check ews_url", MINUTES),
}


def recovery_for(trouble: Trouble) -> Recovery[Step]:
    """The line of the table; what it doesn't know is tried again later."""
    return _TABLE.get(trouble.code, _PASSING)


def denies_impersonation(trouble: Trouble) -> bool:
    """The account may not act as this mailbox."""
    return recovery_for(trouble) is _DENIED


def in_words(trouble: Trouble) -> str:
    """Reason and the server's own words, in one line."""
    own = trouble.text if trouble.text != trouble.code else ""
    return recovery_for(trouble).in_words(trouble.code, own)


def mailbox_problem(trouble: Trouble, pause: timedelta | None = None) -> MailboxProblem:
    """The trouble as the state of one mailbox."""
    recovery = recovery_for(trouble)
    rediscover = recovery.step is Step.REDISCOVER
    return recovery.mailbox_problem(in_words(trouble), pause, rediscover=rediscover)


def door_problem(trouble: Trouble) -> DoorProblem:
    """The trouble as everybody's."""
    recovery = recovery_for(trouble)
    return DoorProblem(in_words(trouble), remedy=recovery.remedy, retry_after=recovery.pause)
