"""The doors to the calendars a check may open, and where each leads; the doors are the daemon's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from presenced.calendars.carrier import Carrier
from presenced.calendars.discovery.finder import Finder
from presenced.calendars.ews import recovery as ews_recovery
from presenced.calendars.ews.client import EwsDoor
from presenced.calendars.ews.envelope import Refused as EwsRefused
from presenced.calendars.graph import recovery as graph_recovery
from presenced.calendars.graph.client import GraphDoor, root_of
from presenced.config.settings import ExchangeSettings, SyncType
from presenced.core.ports import CalendarDoor, CalendarListener, Clock
from presenced.daemon.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class Way:
    """A door and where it leads."""

    server: str
    """URL of the first server asked, "" for the places where autodiscover begins"""
    open_door: Callable[[Carrier, CalendarListener], CalendarDoor]
    is_denial: Callable[[BaseException | None], bool]
    """whether this is what a mailbox answers that may not be opened"""
    trusted: tuple[str, ...] = ()
    """more addresses that get the sign-in, as for HttpCarrier"""
    remark: str = ""
    """what is to be said of change notices"""


def way_of(exchange: ExchangeSettings, clock: Clock, surroundings: Surroundings) -> Way:
    """The way these settings ask for."""
    if exchange.sync_type is SyncType.GRAPH:
        root = surroundings.graph_root or root_of(exchange.cloud)
        return graph_way(exchange, clock, root)
    return ews_way(exchange, clock)


def ews_way(exchange: ExchangeSettings, clock: Clock) -> Way:
    """Exchange Web Services, on-premises or in the cloud."""

    def open_door(carrier: Carrier, listener: CalendarListener) -> CalendarDoor:
        return EwsDoor(exchange, carrier, Finder(exchange, carrier, clock), listener, clock)

    return Way(
        exchange.ews_url or exchange.autodiscover_url,
        open_door,
        lambda cause: isinstance(cause, EwsRefused) and ews_recovery.denies_impersonation(cause.trouble),
    )


def graph_way(exchange: ExchangeSettings, clock: Clock, root: str) -> Way:
    """Microsoft Graph; what is posted to `notification_url` goes to the daemon, a check has to poll."""

    def open_door(carrier: Carrier, listener: CalendarListener) -> CalendarDoor:
        return GraphDoor(exchange, carrier, listener, clock, root=root)

    return Way(
        root,
        open_door,
        lambda cause: (
            isinstance(cause, graph_recovery.Refused) and graph_recovery.denies_access(cause.trouble)
        ),
        trusted=(root,),
        remark="; notices to notification_url come to the daemon alone" if exchange.notification_url else "",
    )
