"""What to do about each way Graph says no, and the sentence the admin reads.

One table for every question, so that a code means the same whether it comes from a read, a batch or a
subscription. Sources: graph.md; Microsoft's "Error responses and resource types", "Throttling guidance",
"Delta query: synchronization reset" and the error pages of the Outlook REST services.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from presenced.calendars.graph.wire import Answer
from presenced.calendars.problems import HOURLY, MINUTES, Recovery
from presenced.core.ports import DoorProblem, MailboxProblem, MailboxState


@dataclass(frozen=True, slots=True)
class Trouble:
    """How Graph said no."""

    status: int
    code: str
    """its own word for it, `Http…` where it had none"""
    text: str = ""
    backoff: timedelta | None = None
    everybody: bool = False
    """the whole app is held back, not one mailbox"""


class Refused(Exception):
    """Graph said no."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(f"{trouble.code}: {trouble.text}")
        self.trouble = trouble


class Step(StrEnum):
    """What happens next."""

    RESYNC = "resync"
    """the delta token is gone: a full round, then read"""
    REDISCOVER = "rediscover"
    """the mailbox may be another one now: look again after a pause"""
    BACK_OFF = "back-off"
    """this budget is spent: wait as asked"""
    BLOCK = "block"
    """nothing helps until an admin acts: stop calling, look again hourly"""
    SIGN_IN = "sign-in"
    """the account is refused: nobody can be served"""
    FAIL = "fail"
    """try again later"""


_GRANT = (
    "see that the app has Calendars.Read with the admin's consent, or with RBAC for Applications a role "
    "assignment Application Calendars.Read whose scope holds this mailbox (ask "
    "Test-ServicePrincipalAuthorization); with graph_access = delegated share the calendar with the account"
)
_BUSY = Recovery(Step.BACK_OFF, "Graph is busy and asks to wait")
_LOST = Recovery(Step.RESYNC, "Graph no longer knows the cursor")
_DENIED = Recovery(Step.BLOCK, "the app may not read this mailbox", _GRANT, HOURLY, MailboxState.BLOCKED)
_UNKNOWN = Recovery(
    Step.REDISCOVER,
    "Graph knows no such mailbox",
    "check the address in the PBX, and that the user has a mailbox",
    HOURLY,
    MailboxState.UNRESOLVED,
)
_ON_PREMISES = Recovery(
    Step.BLOCK,
    "the mailbox is not in Exchange Online (on-premises, without a licence, or inactive)",
    "migrate or license it, or serve it with sync_type = on-premises",
    HOURLY,
    MailboxState.BLOCKED,
)
_DISABLED = Recovery(
    Step.BLOCK, "the user's account is disabled", "enable it, or give the user sync = no", HOURLY,
    MailboxState.BLOCKED,
)  # fmt: skip
_MOVING = Recovery(Step.FAIL, "the mailbox is being moved", pause=MINUTES)
_ACCOUNT = Recovery(
    Step.SIGN_IN,
    "Graph refuses the token",
    "check tenant_id, client_id and cloud, and that the app's admin consent still stands",
)
_REQUEST = Recovery(
    Step.FAIL, "Graph does not take our request", "report it with the lines of debug_protocol = yes", MINUTES
)
_PASSING = Recovery(Step.FAIL, "Graph could not answer")

_TABLE: dict[str, Recovery[Step]] = {
    # the cursor
    "syncstatenotfound": _LOST,
    "syncstateinvalid": _LOST,
    "resyncrequired": _LOST,
    "errorinvalidsyncstatedata": _LOST,
    "errorsyncstatenotfound": _LOST,
    # permission
    "erroraccessdenied": _DENIED,
    "accessdenied": _DENIED,
    "authorization_requestdenied": _DENIED,
    "forbidden": _DENIED,
    "erroraccountdisabled": _DISABLED,
    "erroraccountdisable": _DISABLED,
    # where the mailbox is
    "mailboxnotenabledforrestapi": _ON_PREMISES,
    "mailboxnotsupportedforrestapi": _ON_PREMISES,
    "mailboxnothostedinexchangeonline": _ON_PREMISES,
    "resourcenotfound": _UNKNOWN,
    "request_resourcenotfound": _UNKNOWN,
    "erroritemnotfound": _UNKNOWN,
    "errorinvaliduser": _UNKNOWN,
    "errornonexistentmailbox": _UNKNOWN,
    "errormailboxmoveinprogress": _MOVING,
    "errormailboxstoreunavailable": Recovery(
        Step.FAIL, "the database of the mailbox is not available", pause=timedelta(minutes=2)
    ),
    # throttling
    "applicationthrottled": _BUSY,
    "toomanyrequests": _BUSY,
    "activitylimitreached": _BUSY,
    "errorserverbusy": _BUSY,
    "errortoomanyobjectsopened": _BUSY,
    "serviceunavailable": _BUSY,
    # the account
    "invalidauthenticationtoken": _ACCOUNT,
    "unauthorized": _ACCOUNT,
}
"""by code, lower case"""

_BY_STATUS: dict[int, Recovery[Step]] = {
    400: _REQUEST,
    401: _ACCOUNT,
    403: _DENIED,
    404: _UNKNOWN,
    410: _LOST,
    423: _MOVING,
    429: _BUSY,
    503: _BUSY,
    509: _BUSY,
}
"""for codes the table doesn't have"""


def find_trouble(status: int, headers: Mapping[str, str], body: Answer, backoff: timedelta | None) -> Trouble:
    """What a refusal says. `headers` by name in lower case or without regard to it."""
    error = body.get("error")
    code, text = "", ""
    if isinstance(error, dict):
        code, text = (str(error.get(name) or "") for name in ("code", "message"))
    scope = headers.get("x-ms-throttle-scope", "").casefold()
    return Trouble(
        status,
        " ".join(code.split())[:100] or f"Http{status}",
        " ".join(text.split())[:300],
        backoff,
        everybody=scope.startswith(("tenant", "application")),
    )


def recovery_for(trouble: Trouble) -> Recovery[Step]:
    """The line of the table; what it doesn't know goes by the status, or is tried again later."""
    if trouble.status in {429, 410}:
        return _BY_STATUS[trouble.status]
    return _TABLE.get(trouble.code.casefold()) or _BY_STATUS.get(trouble.status, _PASSING)


def denies_access(trouble: Trouble) -> bool:
    """The app may not read this mailbox."""
    return recovery_for(trouble) is _DENIED


def in_words(trouble: Trouble) -> str:
    """Reason and the server's own words, in one line."""
    own = trouble.text.rstrip(".") if trouble.text != trouble.code else ""
    return recovery_for(trouble).in_words(trouble.code, own)


def mailbox_problem(trouble: Trouble, pause: timedelta | None = None) -> MailboxProblem:
    """The trouble as the state of one mailbox."""
    recovery = recovery_for(trouble)
    rediscover = recovery.step is Step.REDISCOVER
    return recovery.mailbox_problem(in_words(trouble), pause, rediscover=rediscover)


def door_problem(trouble: Trouble) -> DoorProblem:
    """The trouble as everybody's."""
    recovery = recovery_for(trouble)
    return DoorProblem(
        in_words(trouble), remedy=recovery.remedy, retry_after=trouble.backoff or recovery.pause
    )
