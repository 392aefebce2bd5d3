"""What has to fit together across keys: what the sync type needs, TLS, passwords, mail.

Each check looks at one section of a draft and complains there. Sources: settings.md, exchange.md
section 1 and graph.md for the sync types, pbx-link.md section 1 for both directions of the link.
"""

from __future__ import annotations

from presenced.config.draft import Draft
from presenced.config.kinds import SecretText, is_loopback, split_url
from presenced.config.problems import Unfit
from presenced.config.schema import CREDENTIALS, OAUTH, SECTIONS
from presenced.config.settings import Address, SyncType


def check(draft: Draft) -> None:
    """Everything that takes more than one key to see."""
    _check_needed(draft)
    _check_pbx(draft)
    _check_credentials(draft)
    _check_files(draft)
    _check_web(draft)
    _check_mail(draft)


def _check_needed(draft: Draft) -> None:
    """Keys that always have to be there, and those the sync type needs."""
    sync_type: SyncType = draft.value("exchange", "sync_type")
    for section, keys in SECTIONS.items():
        for key in keys:
            if sync_type not in key.needed_by or draft.given(section, key.name):
                continue
            if section == "exchange":
                _miss(draft, section, key.name, f"sync_type = {sync_type} needs it")
            else:
                _miss(draft, section, key.name, key.kind.allowed)
    single = draft.value("exchange", "supported_accounts") == "single"
    if sync_type in OAUTH and (single or sync_type is not SyncType.CLOUD):
        _need(draft, "exchange", "tenant_id", f"sync_type = {sync_type} needs it")


def _check_pbx(draft: Draft) -> None:
    for name, other in (("tls_certificate", "tls_key"), ("tls_key", "tls_certificate")):
        if draft.given("pbx", name) and not draft.given("pbx", other):
            draft.complain(
                draft.line("pbx", name), f"{other} is missing beside {name}", "name both files or none"
            )
    if not draft.usable("pbx", "mode"):
        return
    if draft.value("pbx", "mode") == "dial":
        for name in ("url", "app_name", "app_password"):
            _need(draft, "pbx", name, "mode = dial needs it")
        _check_dialled_url(draft)
        return
    listen: Address = draft.value("pbx", "listen")
    if not draft.usable("pbx", "listen") or is_loopback(listen.host):
        return
    encrypted = draft.given("pbx", "tls_certificate") or draft.given("pbx", "tls_key")
    if not encrypted and draft.usable("pbx", "allow_plain") and not draft.value("pbx", "allow_plain"):
        draft.complain(
            draft.line("pbx", "listen"),
            f"plain HTTP on {listen.host}:{listen.port}, which is not loopback",
            "give tls_certificate and tls_key, or allow_plain = yes",
        )
    _need(draft, "pbx", "app_password", "a link that is not on loopback needs it")


def _check_dialled_url(draft: Draft) -> None:
    url = draft.value("pbx", "url")
    if not url or not draft.usable("pbx", "url") or draft.value("pbx", "allow_plain"):
        return
    parts = split_url(url)
    if parts and parts.scheme == "ws" and not is_loopback(parts.hostname or ""):
        draft.complain(
            draft.line("pbx", "url"),
            "url: ws:// would go through the network unencrypted",
            "write wss://, or allow_plain = yes",
        )


def _check_credentials(draft: Draft) -> None:
    """Exactly one way for an app to prove who it is; none where a person signs in."""
    given = [name for name in CREDENTIALS if draft.given("exchange", name)]
    if draft.given("exchange", "certificate_password") and "certificate" not in given:
        draft.complain(
            draft.line("exchange", "certificate_password"),
            "certificate_password stands there without certificate",
            "name the certificate it opens",
        )
    sync_type: SyncType = draft.value("exchange", "sync_type")
    if sync_type not in OAUTH or not draft.usable("exchange", "sync_type"):
        return
    choice = ", ".join(CREDENTIALS)
    for name in sorted(given, key=lambda name: draft.line("exchange", name))[1:]:
        draft.complain(
            draft.line("exchange", name), f"{name} is one credential too many", f"only one of {choice}"
        )
    delegated = sync_type is SyncType.CLOUD or (
        sync_type is SyncType.GRAPH and draft.value("exchange", "graph_access") == "delegated"
    )
    if not given and not delegated and draft.outside is not None:
        draft.complain(
            draft.line("exchange"),
            "the app's credential is missing in [exchange]",
            f"sync_type = {sync_type} needs one of {choice}",
        )


def _check_files(draft: Draft) -> None:
    """Certificates that are there have to be usable too."""
    if draft.outside is None:
        return
    for section in ("pbx", "exchange"):
        if draft.given(section, "tls_ca") and draft.usable(section, "tls_ca"):
            try:
                draft.outside.check_tls_ca(draft.value(section, "tls_ca"))
            except Unfit as unfit:
                draft.complain(draft.line(section, "tls_ca"), f"tls_ca: {unfit.wrong}", unfit.meant)
    pair = ("tls_certificate", "tls_key")
    if all(draft.given("pbx", name) and draft.usable("pbx", name) for name in pair):
        try:
            draft.outside.check_tls_pair(*(draft.value("pbx", name) for name in pair))
        except Unfit as unfit:
            draft.complain(
                draft.line("pbx", "tls_certificate"), f"tls_certificate: {unfit.wrong}", unfit.meant
            )


def _check_web(draft: Draft) -> None:
    listen: Address | None = draft.value("web", "listen")
    if draft.usable("web", "listen") and listen is not None and not is_loopback(listen.host):
        _need(draft, "web", "password", "a status page that is not on loopback needs it")
    link = draft.value("pbx", "listen") if draft.value("pbx", "mode") == "listen" else None
    if listen is not None and listen == link and listen.port and draft.usable("web", "listen"):
        draft.complain(
            draft.line("web", "listen"), "listen: the PBX link listens there already", "take another port"
        )


def _check_mail(draft: Draft) -> None:
    names = ("mail_to", "mail_from", "smtp_url")
    given = [name for name in names if draft.given("alerts", name)]
    if given:
        for name in names:
            _need(draft, "alerts", name, f"{given[0]} needs it beside it")


def _need(draft: Draft, section: str, name: str, because: str) -> None:
    if not draft.given(section, name):
        _miss(draft, section, name, because)


def _miss(draft: Draft, section: str, name: str, because: str) -> None:
    """A key is missing; a secret is missed only where secrets are looked up."""
    key = next(key for key in SECTIONS[section] if key.name == name)
    if draft.outside is not None or not isinstance(key.kind, SecretText):
        draft.miss(section, name, because)
