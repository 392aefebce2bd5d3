"""The token of the cloud's sign-in: the way to the authority, and whether it gives one.

An account's sign-in lies in the store, so there the store is opened as the daemon opens it.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from presenced.calendars.signin.clouds import CLOUDS, is_delegated
from presenced.calendars.signin.token_cache import TokenCache
from presenced.calendars.signin.tokens import OAuthTokens, build_tokens
from presenced.calendars.transport import tls
from presenced.calendars.transport.authentication import TokenSource
from presenced.cli.connect.course import Course, Finding, StepFailed
from presenced.cli.connect.network import Route, target_of, walk
from presenced.config.settings import Settings, SyncType
from presenced.daemon.surroundings import Surroundings
from presenced.store.sqlite import open_store

TOKEN = "exchange token"  # noqa: S105 - the name of a step

SCOPE = "exchange scope"


@asynccontextmanager
async def tokens_for(
    course: Course, settings: Settings, surroundings: Surroundings
) -> AsyncIterator[TokenSource | None]:
    """Where requests get their token from; None where none is used, or none is to be had."""
    exchange = settings.exchange
    if exchange.sync_type is SyncType.ON_PREMISES:
        yield None
        return
    host = surroundings.authority_host

    def trust(verified: bool) -> ssl.SSLContext:
        return tls.build_context(exchange.tls_ca, verify=verified)

    target = target_of(f"https://{host or CLOUDS[exchange.cloud].authority}")
    async with AsyncExitStack() as stack:
        if not await walk(course, Route("login", target, trust, verify=exchange.tls_verify)):
            course.skip(TOKEN, f"{target.place} can't be reached")
            yield None
            return
        opened: list[OAuthTokens] = []

        async def fetch() -> Finding:
            cache = await _open_cache(settings, course, stack) if is_delegated(exchange) else None
            tokens = build_tokens(exchange, course.clock, cache, authority_host=host)
            opened.append(tokens)
            await tokens.fetch_token()
            ends = "" if tokens.expires_at is None else f", good until {tokens.expires_at:%Y-%m-%d %H:%M} UTC"
            return Finding(f"token for client {exchange.client_id}{ends}")

        granted = await course.take(TOKEN, fetch)
        if granted and exchange.sync_type is SyncType.GRAPH and not is_delegated(exchange):
            course.add(SCOPE, tell_scope(opened[0].status().permissions))
        yield opened[0] if granted else None


def tell_scope(permissions: frozenset[str]) -> Finding:
    """Whose calendars the app may read: rights add up, so a consent in Entra makes any scope void."""
    consented = sorted(one for one in permissions if one.startswith("Calendars.Read"))
    if consented:
        return Finding(
            f"{', '.join(consented)} is consented to in Entra: the app may read every mailbox of the tenant, "
            "whatever scope RBAC for Applications sets"
        )
    return Finding("no consent in Entra covers calendars: RBAC for Applications says whose may be read")


async def _open_cache(settings: Settings, course: Course, stack: AsyncExitStack) -> TokenCache:
    path: Path = settings.store.path
    if not path.exists():  # noqa: ASYNC240 - once, before anything else goes on
        raise StepFailed(
            f"nobody has signed in yet: there is no store {path}", f"run presenced signin -c {settings.path}"
        )
    store = await open_store(path, course.clock)
    stack.push_async_callback(store.close)
    return TokenCache(store, os.environ)
