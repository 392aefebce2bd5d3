"""The store in one SQLite file, through aiosqlite.

One task writes: it takes whatever calls have gathered meanwhile and commits them in one transaction, so
that a commit is paid once for many users, and every call returns after the commit that holds its change.
Reads have a connection of their own: in WAL mode they see the last commit and hold nobody up.

`synchronous=NORMAL`: a commit is in the operating system's hands but not yet on the platter. That is all
kill -9 asks for: the process goes, the written pages stay. A power cut may take the last transactions,
never the consistency of the file. Moving the log into the database does wait for the platter, so another
connection does that, and no commit stands behind it.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiosqlite

from presenced.core.appointment import Appointment
from presenced.core.ports import Clock, Mailbox, MailboxState, StoredUser, StoreProblem, Write
from presenced.core.replica import PbxUser
from presenced.core.window import Window
from presenced.store import schema
from presenced.store.batch import Change, Group, Row, merge, runs
from presenced.store.files import make_room, set_aside
from presenced.store.migrate import HEAD, migrate
from presenced.store.problems import error_name, problem_at

log = logging.getLogger(__name__)

WAITING = 2_000
"""calls that may wait for the writer; more wait for room"""
BATCH = 1_000
"""changes in one transaction"""
PACE = 0.001
"""seconds between the end of a transaction and the next: a transaction costs the same however full it is"""
CHECKPOINT_PAUSE = 1.0
"""seconds from a commit until the log is moved into the database"""
LONG_LOG = 8_192
"""pages of 4 KiB: under lasting load the log would grow and grow behind the commits"""
_CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"
CHUNK = 100
"""rows turned into values before the loop gets its turn"""


class _Writer(aiosqlite.Connection):
    """A connection that makes a whole transaction in one trip to its thread: each trip costs the loop a
    wake-up, and under load the thread waits for its turn at the interpreter every time."""

    async def commit_groups(self, groups: Sequence[Group]) -> list[int]:
        """All or nothing; for each group how many rows its last statement changed."""
        changed: list[int] = await self._execute(_transact, self._conn, groups)  # type: ignore[no-untyped-call]
        return changed


def _transact(connection: sqlite3.Connection, groups: Sequence[Group]) -> list[int]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        changed = []
        for group in groups:
            gone_over = 0
            for statement, rows in zip(group.statements, group.rows, strict=True):
                gone_over = sum(connection.execute(*run).rowcount for run in runs(statement, rows))
            changed.append(gone_over)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return changed


@dataclass(slots=True)
class _Call:
    change: Change
    done: asyncio.Future[int]


class SqliteStore:
    """The port `core.ports.Store`; made by `open_store`."""

    def __init__(
        self,
        path: Path,
        writer: _Writer,
        reader: aiosqlite.Connection,
        mover: aiosqlite.Connection,
        last_write: int,
    ) -> None:
        self._path = path
        self._writer = writer
        self._reader = reader
        self._mover = mover
        self._reading = asyncio.Lock()
        self._numbers = count(last_write + 1)
        self._calls: asyncio.Queue[_Call] = asyncio.Queue(WAITING)
        self._unfinished = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False
        self._committed = asyncio.Event()
        self._tasks = (
            asyncio.create_task(self._write_batches(), name="store writer"),
            asyncio.create_task(self._move_log(), name="store checkpoints"),
        )

    async def load(self) -> Sequence[StoredUser]:
        """Everybody kept, by guid. The loop gets its turn every CHUNK rows."""
        async with self._reads():
            users: list[StoredUser] = []
            async for rows in self._chunks(schema.FETCH_USERS):
                users.extend(map(schema.read_user, rows))
            return users

    async def keep_user(self, user: PbxUser) -> None:
        """A new or changed row of the replica."""
        await self._apply(schema.user_kept(user))

    async def drop_users(self, guids: Sequence[str]) -> None:
        """Users that left the PBX."""
        if guids:
            await self._apply(schema.users_dropped(guids))

    async def keep_mailbox(
        self, guid: str, mailbox: Mailbox | None, state: MailboxState, reason: str, at: datetime
    ) -> None:
        """What became of this user's mailbox."""
        await self._apply(schema.mailbox_kept(guid, mailbox, state, reason, at))

    async def keep_appointments(
        self, guid: str, appointments: Sequence[Appointment], window: Window, at: datetime
    ) -> None:
        """The appointments of a window read, in place of those before."""
        await self._apply(schema.appointments_kept(guid, appointments, window, at))

    async def expect_write(self, guid: str) -> None:
        """From now on what the PBX has is unknown."""
        await self._apply(schema.write_expected(guid))

    async def keep_write(self, write: Write) -> None:
        """A write was confirmed or failed."""
        await self._apply(schema.write_kept(write, next(self._numbers)))

    async def fetch_writes(
        self, *, guid: str | None = None, since: datetime | None = None, limit: int = 100
    ) -> Sequence[Write]:
        """The record of writes, newest first."""
        query, values = schema.writes_query(guid, since, limit)
        return [schema.read_write(row) for row in await self._fetch(query, values)]

    async def forget_writes(self, before: datetime) -> int:
        """Drop the record of older writes; how many went."""
        return await self._apply(schema.writes_forgotten(before))

    async def keep_value(self, name: str, value: bytes | None) -> None:
        """A small named value; None removes it."""
        await self._apply(schema.value_kept(name, value))

    async def fetch_value(self, name: str) -> bytes | None:
        """The named value, None where there is none."""
        for row in await self._fetch(schema.FETCH_VALUE, (name,)):
            return bytes(row[0])
        return None

    async def close(self) -> None:
        """Commit what has been asked for, then close; later calls are refused."""
        self._closing = True
        await self._idle.wait()
        async with self._reading:
            if all(task.done() for task in self._tasks):
                return
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)
            for connection in (self._reader, self._mover, self._writer):
                await connection.close()

    # --- writing ---

    async def _apply(self, change: Change) -> int:
        """Hand a change to the writer and wait for its commit; the rows the last statement changed."""
        if self._closing:
            raise StoreProblem(f"{self._path} is closed")
        call = _Call(change, asyncio.get_running_loop().create_future())
        self._unfinished += 1
        self._idle.clear()
        try:
            await self._calls.put(call)
        except asyncio.CancelledError:
            self._finished()
            raise
        return await call.done

    def _finished(self) -> None:
        self._unfinished -= 1
        if not self._unfinished:
            self._idle.set()

    async def _write_batches(self) -> None:
        loop = asyncio.get_running_loop()
        rested = loop.time()
        while True:
            calls = [await self._calls.get()]
            if (rest := rested - loop.time()) > 0:
                await asyncio.sleep(rest)  # under load calls gather; a single one does not wait
            while len(calls) < BATCH and not self._calls.empty():
                calls.append(self._calls.get_nowait())
            await self._settle(calls)
            rested = loop.time() + PACE

    async def _settle(self, calls: Sequence[_Call]) -> None:
        """Commit and tell the callers; where one spoils the transaction, each gets its own."""
        try:
            changed = await self._commit([call.change for call in calls])
        except Exception as error:  # noqa: BLE001 - the writer outlives every call; the caller is told
            if len(calls) > 1 and not isinstance(error, aiosqlite.OperationalError):
                for call in calls:
                    await self._settle([call])
                return
            for call in calls:
                if not call.done.done():
                    call.done.set_exception(problem_at(self._path, error))
                self._finished()
            return
        for call, rows in zip(calls, changed, strict=True):
            if not call.done.done():
                call.done.set_result(rows)
            self._finished()

    async def _commit(self, changes: Sequence[Change]) -> list[int]:
        """One transaction; for a change that ran alone the rows its last statement changed, else 0."""
        changed = [0] * len(changes)
        groups = merge(changes)
        for group, rows in zip(groups, await self._writer.commit_groups(groups), strict=True):
            if len(group.members) == 1:
                changed[group.members[0]] = rows
        self._committed.set()
        return changed

    async def _move_log(self) -> None:
        """Checkpoint what was committed, as far as it goes without waiting for anybody."""
        while True:
            await self._committed.wait()
            await asyncio.sleep(CHECKPOINT_PAUSE)
            self._committed.clear()
            try:
                ((_, pages, _),) = await self._mover.execute_fetchall(_CHECKPOINT)
                if pages > LONG_LOG:  # while all is moved and nobody writes, the log can begin anew
                    await self._writer.execute_fetchall(_CHECKPOINT)
            except aiosqlite.Error as error:
                log.warning("the log of %s can't be moved into it because=%s", self._path, error)

    # --- reading ---

    @asynccontextmanager
    async def _reads(self) -> AsyncIterator[None]:
        """One reader at a time, in one transaction: several queries see the same moment."""
        async with self._reading:
            if self._closing:
                raise StoreProblem(f"{self._path} is closed")
            try:
                async with self._reader.execute("BEGIN"):
                    pass
                try:
                    yield
                finally:
                    async with self._reader.execute("ROLLBACK"):
                        pass
            except aiosqlite.Error as error:
                raise problem_at(self._path, error) from error

    async def _fetch(self, query: str, values: Row) -> Iterable[Sequence[Any]]:
        async with self._reads():
            return await self._reader.execute_fetchall(query, values)

    async def _chunks(self, query: str) -> AsyncIterator[Sequence[Sequence[Any]]]:
        async with self._reader.execute(query) as cursor:
            while rows := list(await cursor.fetchmany(CHUNK)):
                yield rows


async def open_store(path: Path, clock: Clock) -> SqliteStore:
    """Open, or make, the database; a corrupt one is set aside and a new one made, with a warning.

    Raises StoreProblem where that can't be: no rights, a newer version's database, somebody else's.
    """
    await asyncio.to_thread(make_room, path)
    corrupt, version = await _examine(path)
    if corrupt:
        aside = await asyncio.to_thread(set_aside, path, clock.now())
        log.warning(
            "%s is corrupt (%s): it lies in %s now and a new one is made; users come back from the PBX and "
            "appointments from Exchange, every presence is written again, stored sign-ins have to be renewed "
            "and the record of writes starts anew",
            path,
            corrupt,
            aside,
        )
        await asyncio.to_thread(make_room, path)
    try:
        if version != HEAD:
            await asyncio.to_thread(migrate, path)
        return await _connect(path)
    except aiosqlite.Error as error:
        raise problem_at(path, error) from error


async def peek_users(path: Path, most: int = 50) -> Sequence[PbxUser]:
    """The first users kept there, for somebody who is not the daemon: nothing is made, locked or changed.

    What a killed daemon left in its log is not seen. Raises StoreProblem where nothing can be read.
    """
    address = f"file:{quote(str(path))}?mode=ro&immutable=1"
    try:
        async with (
            aiosqlite.connect(address, uri=True) as reader,
            reader.execute(f"{schema.FETCH_USERS} LIMIT ?", (most,)) as rows,
        ):
            return [schema.read_user(row).user for row in await rows.fetchall()]
    except aiosqlite.Error as error:
        raise problem_at(path, error) from error


_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "foreign_keys = ON",
    "wal_autocheckpoint = 0",
    # a burst at midnight may grow the log; it shrinks back to this many bytes
    "journal_size_limit = 67108864",
)


async def _connect(path: Path) -> SqliteStore:
    async with AsyncExitStack() as opened:
        writer = _Writer(partial(sqlite3.connect, path, isolation_level=None), iter_chunk_size=CHUNK)
        await opened.enter_async_context(writer)
        for pragma in _PRAGMAS:
            await writer.execute_fetchall(f"PRAGMA {pragma}")
        reader = await opened.enter_async_context(aiosqlite.connect(path, isolation_level=None))
        await reader.execute_fetchall("PRAGMA query_only = ON")
        (row,) = await reader.execute_fetchall(schema.LAST_WRITE)
        mover = await opened.enter_async_context(aiosqlite.connect(path, isolation_level=None))
        opened.pop_all()
    return SqliteStore(path, writer, reader, mover, row[0])


async def _examine(path: Path) -> tuple[str, str]:
    """Why the file is corrupt ("" where it is not), and its schema version ("" where it has none)."""
    try:
        async with aiosqlite.connect(path, isolation_level=None) as connection:
            (finding,) = await connection.execute_fetchall("PRAGMA quick_check(1)")
            if finding[0] != "ok":
                return " ".join(str(finding[0]).split()), ""
            tables = {
                row[0]
                for row in await connection.execute_fetchall(
                    "SELECT name FROM sqlite_master WHERE type = 'table'"
                )
            }
            if "alembic_version" in tables:
                rows = await connection.execute_fetchall("SELECT version_num FROM alembic_version")
                return "", next((str(row[0]) for row in rows), "")
    except aiosqlite.Error as error:
        if error_name(error).startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return str(error), ""
        raise problem_at(path, error) from error
    if tables:
        raise StoreProblem(
            f"{path} is a database of another program (tables {', '.join(sorted(tables)[:3])}, ...)",
            remedy="name another file in [store] url",
        )
    return "", ""
