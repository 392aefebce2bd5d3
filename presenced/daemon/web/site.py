"""What every page needs: the daemon it shows, the clock, the templates, and who is asking."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from aiohttp import web

from presenced import __version__
from presenced.config.settings import Settings
from presenced.core.ports import Clock, Store, Write
from presenced.core.presence import Presence
from presenced.core.zones import zone_of
from presenced.daemon.answers.questions import Questions
from presenced.daemon.answers.sentences import CAUSES
from presenced.daemon.engine import Engine
from presenced.daemon.keeper import Keeper
from presenced.daemon.web.guard import FORM_TOKEN, Guard
from presenced.daemon.web.listing import state_of
from presenced.daemon.web.rendering import Rendering, Times
from presenced.daemon.web.showing import Shown, show
from presenced.daemon.web.statics import Statics

STATES = {
    "resolved": "changes are noticed at once",
    "polled": "asked for changes now and then",
    "unresolved": "no mailbox was found",
    "blocked": "Exchange refuses to let it be read",
    "failing": "can't be read at the moment",
    "disabled": "not followed, sync = no",
}
"""the states of a user's mailbox in words"""


class Site:
    """Handed to every page."""

    def __init__(
        self, engine: Engine, store: Store, clock: Clock, guard: Guard, questions: Questions
    ) -> None:
        self.engine = engine
        self.store = store
        self.clock = clock
        self.guard = guard
        self.questions = questions
        self.statics = Statics()
        self._rendering = Rendering()

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.engine.settings

    def page(self, request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
        """A whole page."""
        settings = self.settings
        text = self._rendering.render(
            template,
            **self._common(),
            here=request.path,
            token=self.guard.token(request),
            token_field=FORM_TOKEN,
            asks_password=self.guard.asks_password,
            let_in=self.guard.is_let_in(request),
            static=self.statics.url,
            version=__version__,
            settings_path=settings.path,
            **values,
        )
        return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")

    def region(self, template: str, **values: Any) -> str:
        """A part of a page, for those who watch it."""
        return self._rendering.render(template, **self._common(), **values)

    def _common(self) -> dict[str, Any]:
        times = Times(zone_of(self.settings.presence.timezone), self.clock.now())
        return {
            "times": times,
            "states": STATES,
            "causes": CAUSES,
            "mistakes": self.engine.mistakes,
            "zone_name": self.settings.presence.timezone,
            "settings_folder": f"{PurePath(self.settings.path).parent}/",
            "settings_file": PurePath(self.settings.path).name,
        }

    # --- what pages have in common ---

    def keeper(self, guid: str) -> Keeper | None:
        """The user with this guid."""
        return self.engine.roster.keepers.get(guid)

    def show(self, presence: Presence | None, keeper: Keeper | None) -> Shown:
        """A presence in words; without titles for a user who hides them, or who is not known any more."""
        if keeper is None:
            return show(presence, titles=False, language=self.settings.presence.language)
        titles = keeper.admission.subject_shown
        return show(presence, titles=titles, language=keeper.mapping.style.language)

    def write_line(self, write: Write) -> Mapping[str, Any]:
        """One line of the record of writes."""
        keeper = self.keeper(write.guid)
        return {
            "at": write.at,
            "guid": write.guid if keeper else "",
            "name": name_of(keeper) if keeper else "a user who left the PBX",
            "shown": self.show(write.presence, keeper),
            "cause": write.cause,
            "because": CAUSES.get(write.cause, write.cause),
            "error": write.error,
        }

    def user_line(self, keeper: Keeper) -> Mapping[str, Any]:
        """One line of the list of users."""
        mailbox = keeper.mailbox.address if keeper.mailbox else ""
        return {
            "guid": keeper.user.guid,
            "name": name_of(keeper),
            "sip": keeper.user.sip,
            "mailbox": mailbox,
            "state": state_of(keeper),
            "reason": keeper.reason if keeper.sync else "",
            "remedy": keeper.remedy if keeper.sync else "",
            "shown": self.show(keeper.wanted, keeper),
            "waits": keeper.to_write() is not None,
            "error": keeper.write_error,
            "read_at": keeper.read_at,
            "stale": keeper.is_stale(self.clock.now()),
        }


def name_of(keeper: Keeper) -> str:
    """What people call a user."""
    return keeper.user.cn or keeper.user.sip or keeper.user.guid
