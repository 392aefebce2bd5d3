"""What an admin is told of a configuration although nothing is wrong with it.

`presenced check` prints these and the daemon logs them at start. The facts about Exchange Online are
those of exchange.md section 1; the rest are keys that have no effect, and doors left ajar.
"""

from __future__ import annotations

from presenced.config.draft import Draft
from presenced.config.kinds import is_loopback
from presenced.config.schema import SECTIONS
from presenced.config.settings import Address, SyncType

EWS_ENDS = (
    "Exchange Online blocks EWS tenant by tenant since 2026-10-01 unless EWSEnabled is true and the app id is"
    " in EWSAllowedAppIDs, and ends it for good on 2027-04-01"
)
IMPERSONATION_LEFT = (
    "ApplicationImpersonation left Exchange Online in February 2025, so sync_type = cloud works only against"
    " a hybrid server of one's own"
)

_WEBHOOK = {
    "webhook_url": (
        "what goes to webhook_url is not signed, so the receiver can't tell whether it is ours",
        "set webhook_secret to 24 random characters or more, here and there",
    ),
    "webhook_secret": ("webhook_secret has no effect without webhook_url", "it signs what goes there"),
}


def add_notices(draft: Draft) -> None:
    """Add to the draft what the admin should know."""
    sync_type: SyncType = draft.value("exchange", "sync_type")
    line = draft.line("exchange", "sync_type")
    if sync_type is SyncType.CLOUD:
        draft.note(line, IMPERSONATION_LEFT, "for Exchange Online use cloud-app-only or graph")
    if sync_type in {SyncType.CLOUD, SyncType.CLOUD_APP_ONLY}:
        draft.note(line, EWS_ENDS, "sync_type = graph is the way that stays")
    _note_unused(draft, sync_type)
    for section in ("pbx", "exchange"):
        if not draft.value(section, "tls_verify"):
            draft.note(
                draft.line(section, "tls_verify"),
                f"tls_verify = no in [{section}]: whoever is on the way can pose as the other side",
                "trust a certificate of your own with tls_ca instead",
            )
    for name, other in (("webhook_url", "webhook_secret"), ("webhook_secret", "webhook_url")):
        if draft.given("alerts", name) and not draft.given("alerts", other):
            draft.note(draft.line("alerts", name), *_WEBHOOK[name])
    listen: Address | None = draft.value("web", "listen")
    if listen is not None and not is_loopback(listen.host):
        draft.note(
            draft.line("web", "listen"),
            "the status page is plain HTTP and not on loopback",
            "a reverse proxy with TLS in front of 127.0.0.1 is meant",
        )


def _note_unused(draft: Draft, sync_type: SyncType) -> None:
    if sync_type is not SyncType.DISABLED:  # then everything waits to be used again
        for key in SECTIONS["exchange"]:
            if draft.given("exchange", key.name) and sync_type not in key.used_by:
                users = ", ".join(each for each in SyncType if each in key.used_by)
                draft.note(
                    draft.line("exchange", key.name),
                    f"{key.name} has no effect with sync_type = {sync_type}",
                    f"it is for {users}",
                )
    if draft.given("exchange", "notification_url") and draft.value("exchange", "graph_access") == "delegated":
        draft.note(
            draft.line("exchange", "notification_url"),
            "notification_url has no effect with graph_access = delegated",
            "such an account can't subscribe to other people's mailboxes, it is polled",
        )
    elif draft.given("exchange", "notification_url") and draft.value("web", "listen") is None:
        draft.note(
            draft.line("exchange", "notification_url"),
            "notification_url has no effect while [web] listen is empty",
            "notices come in where the status page listens, on the path of that URL",
        )
    if draft.given("pbx", "url") and draft.value("pbx", "mode") == "listen":
        draft.note(draft.line("pbx", "url"), "url has no effect with mode = listen", "mode = dial uses it")
