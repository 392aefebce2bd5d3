"""The table PbxTableUsers as one connection sees it (pbx-link.md section 3): messages in, messages out."""

from __future__ import annotations

from presenced.sim.pbx.state import Message, PbxState
from presenced.sim.pbx.users import COLUMNS, SimulatedUser, awkward, row, swollen

API = "PbxTableUsers"
MAX_PSEUDO = 20
BAD_REQUEST = 1
GHOST = SimulatedUser("0" * 31 + "1", "ghost", cn="Comes and goes")
"""comes and goes during the first pass (`PbxFaults.updates_during_first_pass`)"""

_START = {"api", "mt", "add", "del", "columns", "pseudo", "src"}
_NEXT = {"api", "mt", "src"}


class ServedTable:
    """Replication for one connection."""

    def __init__(self, state: PbxState) -> None:
        self._state = state
        self._src: object = None
        self._columns: frozenset[str] = frozenset()
        self._pseudo: frozenset[str] = frozenset()
        self._rows: list[str] | None = None
        """guids of the pass under way; None: no pass is under way"""
        self._place = 0
        self._started = False
        self.answering = False
        """a ReplicateNext has come and its answer is not sent yet; the sender takes this back"""

    @property
    def rows_sent(self) -> int:
        """Rows of the pass that have been asked for."""
        return self._place

    def start(self, message: Message) -> list[Message]:
        """ReplicateStart: its result, or its refusal."""
        state = self._state
        state.counters["replications"] += 1
        refusal = self._check_start(message)
        columns = message.get("columns")
        answer = self._answer("ReplicateStartResult", message.get("src"))
        if refusal or state.faults.start_error:
            error = state.faults.start_error or BAD_REQUEST
            return [answer | {"error": error, "errorText": refusal or "no"}]
        self._columns = frozenset(columns or ())
        self._pseudo = frozenset(message.get("pseudo") or ("",))
        self._src = message.get("src")
        self._rows = [guid for guid, user in state.users.items() if user.pseudo in self._pseudo]
        self._place = 0
        self._started = True
        return [answer | {"columns": columns}]

    def next(self, message: Message) -> list[Message]:
        """ReplicateNext: one row, or the end of the table."""
        state = self._state
        if self.answering:
            state.report("a second ReplicateNext while one is in flight")
        self.answering = True
        if set(message) != _NEXT:
            state.report(f"ReplicateNext with the members {sorted(message)}")
        if message.get("src") != self._src:
            state.report(f"ReplicateNext with src {message.get('src')!r}, ReplicateStart had {self._src!r}")
        answer = self._answer("ReplicateNextResult", message.get("src"))
        if self._rows is None:
            state.report("ReplicateNext without a pass under way")
            return [answer | {"error": BAD_REQUEST, "errorText": "nothing to replicate"}]
        before = self._updates_in_the_middle()
        while self._place < len(self._rows):
            guid = self._rows[self._place]
            self._place += 1
            if (user := state.users.get(guid)) is not None:
                return [*before, answer | {"columns": self._row_of_pass(user)}]
        self._rows = None
        state.counters["passes"] += 1
        return [*before, answer]

    def changed(self, kind: str, user: SimulatedUser) -> list[Message]:
        """ReplicateAdd or ReplicateUpdate with the whole row; nothing before ReplicateStart."""
        if not self._started or user.pseudo not in self._pseudo:
            return []
        return [self._answer(kind, self._src) | {"columns": row(user, self._columns)}]

    def removed(self, user: SimulatedUser) -> list[Message]:
        """ReplicateDel, with the guid alone."""
        if not self._started or user.pseudo not in self._pseudo:
            return []
        return [self._answer("ReplicateDel", self._src) | {"columns": {"guid": user.guid}}]

    def _row_of_pass(self, user: SimulatedUser) -> dict[str, object]:
        faults = self._state.faults
        if faults.awkward_rows:
            user = awkward(user, self._place - 1, self._state.domain)
        if faults.big_row and self._place == 1:
            user = swollen(user)
        return row(user, self._columns)

    def _updates_in_the_middle(self) -> list[Message]:
        rows = self._rows or []
        if not self._state.faults.updates_during_first_pass or self._place != len(rows) // 2:
            return []
        sent_and_coming = [self._state.users.get(guid) for guid in (rows[:1] + rows[self._place :][:1])]
        return [
            *(each for user in sent_and_coming if user for each in self.changed("ReplicateUpdate", user)),
            *self.changed("ReplicateAdd", GHOST),
            *self.removed(GHOST),
        ]

    def _answer(self, mt: str, src: object) -> Message:
        """The members all answers share; `src` is echoed where it came."""
        message: Message = {"api": API, "mt": mt}
        return message if self._state.faults.without_src or src is None else message | {"src": src}

    def _check_start(self, message: Message) -> str:
        """Note every bug; why the request is refused, "" where it isn't."""
        state = self._state
        if state.faults.slave:
            state.report("ReplicateStart at a PBX that is not the master")
        if self._rows is not None:
            state.report("ReplicateStart while a pass is under way")
        if set(message) != _START:
            state.report(f"ReplicateStart with the members {sorted(message)}")
        if message.get("add") is not True or message.get("del") is not True:
            state.report("ReplicateStart without add and del")
        if not isinstance(message.get("src"), str):
            state.report("ReplicateStart without src")
        return self._check_pseudo(message.get("pseudo")) or self._check_columns(message.get("columns"))

    def _check_pseudo(self, pseudo: object) -> str:
        if not isinstance(pseudo, list) or not all(isinstance(entry, str) for entry in pseudo):
            self._state.report("pseudo is no list of strings")
            return "pseudo"
        if "" not in pseudo:
            self._state.report("pseudo without ordinary users")
        if len(pseudo) > MAX_PSEUDO:
            self._state.report(f"pseudo has {len(pseudo)} entries, {MAX_PSEUDO} are allowed")
            return "too many pseudo"
        return ""

    def _check_columns(self, columns: object) -> str:
        if not isinstance(columns, dict):
            self._state.report("columns is no object")
            return "columns"
        if "pwd" in columns:
            self._state.report("asks for passwords (pwd)")
        for name, condition in columns.items():
            if condition != {}:
                self._state.report(f"filters by {name}")
        if missing := set(COLUMNS) - set(columns):
            self._state.report(f"wrong columns: {', '.join(sorted(missing))} not asked for")
        if unknown := set(columns) - {*COLUMNS, "pwd"}:
            self._state.report(f"wrong columns: {', '.join(sorted(unknown))} not known")
        if "pwd" in columns or unknown:
            return "columns"
        return ""
