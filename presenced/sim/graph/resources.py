"""What each address of the simulated Graph answers: users, calendars, delta rounds, subscriptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from presenced.core.ports import Clock
from presenced.sim.exchange.organisation import Event, Item, Organisation, SimulatedMailbox
from presenced.sim.exchange.zones import windows_name
from presenced.sim.graph import events
from presenced.sim.graph.batch import Part
from presenced.sim.graph.delta import Round, Rounds
from presenced.sim.graph.directory import PROPERTIES as USER_PROPERTIES
from presenced.sim.graph.directory import Directory
from presenced.sim.graph.faults import GraphFaults
from presenced.sim.graph.notices import Notices
from presenced.sim.graph.ports import Caller
from presenced.sim.graph.problems import GraphProblem, Reply, access_denied, bad_request, no_such_user
from presenced.sim.graph.query import read_proxy_filter, read_select, read_top, read_window, take_only
from presenced.sim.graph.subscriptions import (
    Lifecycle,
    Subscription,
    Subscriptions,
    read_expiry,
    read_wanted,
)

USUAL_PAGE = 10
LARGEST_PAGE = 1000
CALENDARS = frozenset({"Calendars.Read", "Calendars.ReadWrite", "Calendars.Read.Shared"})
USERS = frozenset({"User.Read.All", "Directory.Read.All", "User.ReadBasic.All"})


@dataclass(frozen=True, slots=True)
class Preferences:
    """The header Prefer."""

    immutable: bool
    zone: str
    page: int | None


class Resources:
    """Answers one request at a time, whoever carried it here."""

    def __init__(
        self, organisation: Organisation, clock: Clock, faults: GraphFaults, notices: Notices, tenant: str
    ) -> None:
        self.directory = Directory(organisation)
        self.rounds = Rounds()
        self.subscriptions = Subscriptions()
        self.base_url = ""
        self._clock = clock
        self._faults = faults
        self._notices = notices
        self._tenant = tenant
        organisation.watchers.append(self._changed)

    async def answer(
        self, part: Part, path: tuple[str, ...], options: dict[str, str], caller: Caller
    ) -> Reply:
        """Raises GraphProblem."""
        match part.method, path:
            case "GET", ("users",):
                return self._list_users(options, caller)
            case "GET", ("users", name):
                return self._show_user(name, options, caller)
            case "GET", ("users", name, "mailboxSettings"):
                return self._show_settings(self._mailbox(name), options, caller)
            case "GET", ("users", name, "calendar"):
                return self._show_calendar(self._calendar(name, caller), options)
            case "GET", ("users", name, "calendarView") | ("users", name, "calendar", "calendarView"):
                return self._view(self._calendar(name, caller), part, options)
            case "GET", (
                ("users", name, "calendarView", "delta")
                | ("users", name, "calendar", "calendarView", "delta")
            ):
                return self._delta(self._calendar(name, caller), part, options)
            case "GET", ("users", name, "events", id_):
                return self._show_event(self._calendar(name, caller), part, id_, options)
            case "POST", ("subscriptions",):
                return await self._subscribe(part, caller)
            case "GET", ("subscriptions",):
                take_only(options, ())
                alive = self.subscriptions.alive(self._clock.now())
                return Reply(200, {"value": [one.show() for one in alive if one.owner == caller.app]})
            case "GET" | "PATCH" | "DELETE", ("subscriptions", id_):
                return self._subscription(part, id_, caller)
            case "POST", ("subscriptions", id_, "reauthorize"):
                self.subscriptions.find(id_, caller.app, self._clock.now()).suspended = False
                return Reply(204)
        raise bad_request(f"Resource not found for the segment '{path[0]}'.", "BadRequest")

    # --- the directory ---

    def _list_users(self, options: dict[str, str], caller: Caller) -> Reply:
        self._need(caller, USERS, "Authorization_RequestDenied")
        take_only(options, {"$filter", "$select", "$top", "$count"})
        if "$filter" not in options:
            raise bad_request("Only users with $filter are answered here.", "Request_UnsupportedQuery")
        selected = read_select(options, USER_PROPERTIES)
        found = self.directory.by_proxy(read_proxy_filter(options["$filter"]))
        read_top(options, default=100, most=999)
        return Reply(200, {"value": [self.directory.show(mailbox, selected) for mailbox in found]})

    def _show_user(self, name: str, options: dict[str, str], caller: Caller) -> Reply:
        self._need(caller, USERS, "Authorization_RequestDenied")
        take_only(options, {"$select"})
        return Reply(200, self.directory.show(self._mailbox(name), read_select(options, USER_PROPERTIES)))

    def _show_settings(self, mailbox: SimulatedMailbox, options: dict[str, str], caller: Caller) -> Reply:
        self._need(caller, frozenset({"MailboxSettings.Read"}), "ErrorAccessDenied")
        take_only(options, {"$select"})
        return Reply(200, {"timeZone": windows_name(mailbox.zone)})

    def _mailbox(self, name: str) -> SimulatedMailbox:
        mailbox = self.directory.find(name)
        if mailbox is None:
            raise no_such_user(name)
        return mailbox

    def _calendar(self, name: str, caller: Caller) -> SimulatedMailbox:
        self._need(caller, CALENDARS, "ErrorAccessDenied")
        mailbox = self._mailbox(name)
        if caller.calendars is not None and mailbox.address.casefold() not in caller.calendars:
            raise access_denied()
        return mailbox

    def _need(self, caller: Caller, permissions: frozenset[str], code: str) -> None:
        if not caller.permissions & permissions:
            raise GraphProblem(403, code, "Insufficient privileges to complete the operation.")

    # --- calendars ---

    def _show_calendar(self, mailbox: SimulatedMailbox, options: dict[str, str]) -> Reply:
        take_only(options, {"$select"})
        values = {
            "id": f"calendar-{self.directory.id_of(mailbox)}",
            "name": "Calendar",
            "owner": {"name": mailbox.name, "address": mailbox.address},
        }
        selected = read_select(options, frozenset(values)) or frozenset(values)
        return Reply(200, {name: value for name, value in values.items() if name in selected})

    def _view(self, mailbox: SimulatedMailbox, part: Part, options: dict[str, str]) -> Reply:
        take_only(options, {"startDateTime", "endDateTime", "$select", "$top", "$skip", "$orderby", "$count"})
        start, end = read_window(options)
        preferences = _preferences(part.headers)
        selected = read_select(options, events.PROPERTIES)
        top = read_top(options, default=USUAL_PAGE, most=LARGEST_PAGE)
        if self._faults.page_size:
            top = min(top, self._faults.page_size)
        skip = int(options.get("$skip", "0"))
        items = mailbox.view(start, end)
        shown = [
            events.show(
                mailbox, item, zone=preferences.zone, selected=selected, immutable=preferences.immutable
            )
            for item in items[skip : skip + top]
        ]
        body: dict[str, Any] = {"value": shown}
        if len(items) > skip + top:
            body["@odata.nextLink"] = self._link(part.url, {"$skip": str(skip + top)})
        return Reply(200, body, _applied(part.headers))

    def _show_event(self, mailbox: SimulatedMailbox, part: Part, id_: str, options: dict[str, str]) -> Reply:
        take_only(options, {"$select"})
        preferences = _preferences(part.headers)
        item = mailbox.get(events.key_of(mailbox, id_))
        if item is None or events.id_of(mailbox, item, immutable=preferences.immutable) != id_:
            raise GraphProblem(404, "ErrorItemNotFound", "The specified object was not found in the store.")
        selected = read_select(options, events.PROPERTIES)
        shown = events.show(
            mailbox, item, zone=preferences.zone, selected=selected, immutable=preferences.immutable
        )
        return Reply(200, shown, _applied(part.headers))

    def _delta(self, mailbox: SimulatedMailbox, part: Part, options: dict[str, str]) -> Reply:
        preferences = _preferences(part.headers)
        now = self._clock.now()
        if "$skiptoken" in options or "$deltatoken" in options:
            take_only(options, {"$skiptoken"} if "$skiptoken" in options else {"$deltatoken"})
            token = options.get("$skiptoken") or options.get("$deltatoken") or ""
            made, told = self.rounds.find(token, mailbox, now)
            if "$deltatoken" in options:
                made, told = self.rounds.go_on(mailbox, made, now), 0
        else:
            take_only(options, {"startDateTime", "endDateTime"})
            made, told = self.rounds.begin(mailbox, *read_window(options), now), 0
        page = min(preferences.page or 50, self._faults.page_size or LARGEST_PAGE)
        entries = made.entries[told : told + page]
        body: dict[str, Any] = {
            "@odata.context": f"{self.base_url}/$metadata#Collection(event)",
            "value": [self._entry(mailbox, entry, preferences) for entry in entries],
        }
        path = part.url.partition("?")[0]
        if told + page < len(made.entries):
            token = self.rounds.keep(made, told + page)
            body["@odata.nextLink"] = self._link(path, {"$skiptoken": token})
        else:
            done = Round(made.address, made.start, made.end, made.version, made.shown, [], made.made_at)
            body["@odata.deltaLink"] = self._link(path, {"$deltatoken": self.rounds.keep(done, 0)})
        return Reply(200, body, _applied(part.headers))

    def _entry(
        self, mailbox: SimulatedMailbox, entry: Item | str, preferences: Preferences
    ) -> dict[str, Any]:
        if isinstance(entry, str):
            gone = Item(entry, "", "", _EPOCH, _EPOCH)
            shown = events.id_of(mailbox, gone, immutable=preferences.immutable)
            return {"@odata.type": "#microsoft.graph.event", "id": shown, "@removed": {"reason": "deleted"}}
        if self._faults.stubs and entry.item_type == "Occurrence":
            return events.stub(mailbox, entry, zone=preferences.zone, immutable=preferences.immutable)
        return events.show(mailbox, entry, zone=preferences.zone, immutable=preferences.immutable)

    def _link(self, url: str, options: Mapping[str, str]) -> str:
        path, _, query = url.strip("/").partition("?")
        kept = [option for option in query.split("&") if option and option.partition("=")[0] not in options]
        added = [f"{name}={value}" for name, value in options.items()]
        return f"{self.base_url}/{path}?{'&'.join(kept + added)}"

    # --- subscriptions ---

    async def _subscribe(self, part: Part, caller: Caller) -> Reply:
        now = self._clock.now()
        wanted = read_wanted(part.body or {}, now)
        mailbox = self._calendar(wanted.user, caller)
        if caller.account and caller.account.casefold() != self.directory.upn_of(mailbox):
            raise access_denied()
        for url in filter(None, dict.fromkeys((wanted.notice_url, wanted.lifecycle_url))):
            if not await self._notices.shake_hands(url):
                raise bad_request(
                    "Subscription validation request failed. Notification endpoint must respond with 200 OK "
                    "to validation request.",
                    "ValidationError",
                )
        return Reply(201, self.subscriptions.make(wanted, caller.app, mailbox.address).show())

    def _subscription(self, part: Part, id_: str, caller: Caller) -> Reply:
        now = self._clock.now()
        found = self.subscriptions.find(id_, caller.app, now)
        if part.method == "DELETE":
            self.subscriptions.drop(id_)
            return Reply(204)
        if part.method == "PATCH":
            body = part.body or {}
            if set(body) != {"expirationDateTime"}:
                raise bad_request("Only 'expirationDateTime' may be changed here.", "InvalidRequest")
            found.expires_at = read_expiry(body, now)
        return Reply(200, found.show())

    def tell(self, event: Lifecycle, address: str) -> int:
        """A turn in the life of all subscriptions of a mailbox; how many there were."""
        found = self.subscriptions.of_mailbox(address)
        for one in found:
            if event == "subscriptionRemoved":
                self.subscriptions.drop(one.id)
            elif event == "reauthorizationRequired":
                one.suspended = True
            if one.lifecycle_url:
                self._notices.send(one.lifecycle_url, one.lifecycle(event, self._tenant), change=False)
        return len(found)

    def _changed(self, mailbox: SimulatedMailbox, event: Event, item: Item) -> None:
        for one in self._alive_of(mailbox.address):
            shown = events.id_of(mailbox, item, immutable=True)
            notice = one.notice(event, self.directory.id_of(mailbox), shown, self._tenant)
            if notice is not None:
                self._notices.send(one.notice_url, notice, change=True)

    def _alive_of(self, address: str) -> list[Subscription]:
        now = self._clock.now()
        return [one for one in self.subscriptions.of_mailbox(address) if one.expires_at > now]


_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - of an entry that has no times


def _preferences(headers: Mapping[str, str]) -> Preferences:
    """`Prefer: IdType="ImmutableId", outlook.timezone="UTC", odata.maxpagesize=50`."""
    immutable, zone, page = False, "UTC", None
    for wish in filter(None, (text.strip() for text in headers.get("prefer", "").split(","))):
        name, _, value = wish.partition("=")
        value = value.strip('"')
        match name.strip():
            case "IdType" if value == "ImmutableId":
                immutable = True
            case "outlook.timezone":
                events.read_zone(value)
                zone = value
            case "odata.maxpagesize" if value.isdigit() and int(value) > 0:
                page = int(value)
            case "odata.track-changes" | "return":
                pass
            case _:
                raise bad_request(f"Unknown preference '{wish}'.")
    return Preferences(immutable, zone, page)


def _applied(headers: Mapping[str, str]) -> dict[str, str]:
    wishes = headers.get("prefer")
    return {"Content-Type": "application/json"} | ({"Preference-Applied": wishes} if wishes else {})
