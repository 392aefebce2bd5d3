"""Composes the calendar door that the settings ask for: the one place where each part gets its neighbours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from presenced.calendars.discovery.finder import Finder
from presenced.calendars.ews.client import EwsDoor
from presenced.calendars.graph.client import GraphDoor, root_of
from presenced.calendars.graph.notices import NoticeDesk
from presenced.calendars.signin.token_cache import TokenCache
from presenced.calendars.signin.tokens import open_tokens
from presenced.calendars.transport.http_carrier import HttpCarrier
from presenced.calendars.transport.record import RequestRecord
from presenced.config.settings import ExchangeSettings, SyncType
from presenced.core.ports import CalendarDoor, CalendarListener, Clock
from presenced.daemon.engine import CalendarFactory
from presenced.daemon.surroundings import REAL_WORLD, Surroundings


def calendar_factory(
    settings: ExchangeSettings,
    clock: Clock,
    observe: Callable[[RequestRecord], None] | None = None,
    *,
    cache: TokenCache | None = None,
    desk: NoticeDesk | None = None,
    surroundings: Surroundings = REAL_WORLD,
) -> CalendarFactory:
    """How to open the calendar door these settings ask for; `observe` is told of every request.

    `cache` is where an account's sign-in lies, `desk` where Graph's notices are handed in.
    """
    root = surroundings.graph_root or root_of(settings.cloud)
    is_graph = settings.sync_type is SyncType.GRAPH

    @asynccontextmanager
    async def open_door(listener: CalendarListener) -> AsyncIterator[CalendarDoor]:
        async with AsyncExitStack() as stack:
            tokens = None
            if settings.sync_type is not SyncType.ON_PREMISES:
                host = surroundings.authority_host
                tokens = await stack.enter_async_context(
                    open_tokens(settings, clock, cache, authority_host=host)
                )
            carrier = await stack.enter_async_context(
                HttpCarrier(
                    settings, clock, token=tokens, trusted=(root,) if is_graph else (), observe=observe
                )
            )
            sign_in = tokens.status if tokens is not None else None
            if is_graph:
                yield GraphDoor(settings, carrier, listener, clock, root=root, desk=desk, sign_in=sign_in)
                return
            finder = Finder(settings, carrier, clock)
            yield EwsDoor(settings, carrier, finder, listener, clock, sign_in=sign_in)

    return open_door
