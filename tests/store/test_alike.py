"""Whatever the calls, the SQLite store loads what the memory store loads."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from presenced.core.appointment import Appointment, Response, Sensitivity, ShowAs
from presenced.core.ports import Mailbox, MailboxState, Store, Write
from presenced.core.presence import Presence
from presenced.core.replica import PbxUser
from presenced.core.window import Window
from presenced.store.memory import MemoryStore
from presenced.store.sqlite import open_store
from tests.clock import FakeClock

Call = Callable[[Store], Awaitable[object]]

texts = st.text(max_size=12)
guids = st.sampled_from(["a", "b", "Ä", ""])
names = st.sampled_from(["cursor", "secret"])
instants = st.datetimes(timezones=st.just(UTC))
few_instants = st.sampled_from([datetime(2026, 11, day, tzinfo=UTC) for day in (14, 15, 16)])
windows = st.builds(
    lambda start, length: Window(start, start + length),
    st.datetimes(max_value=datetime(9990, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the strategy adds UTC
    st.timedeltas(timedelta(), timedelta(days=9)),
)
presences = st.builds(Presence, st.sampled_from(["", "busy"]), texts)
users = st.builds(PbxUser, guids, texts, texts, texts, texts, texts, st.lists(texts, max_size=3).map(tuple))
mailboxes = st.builds(Mailbox, texts, texts, texts)
appointments = st.builds(
    Appointment,
    texts,
    instants,
    instants,
    st.sampled_from(ShowAs),
    st.none() | texts,
    st.booleans(),
    st.sampled_from(Sensitivity),
    texts,
    st.booleans(),
    st.sampled_from(Response),
    st.booleans(),
    st.integers(0, 2**31),
)
writes = st.builds(Write, guids, few_instants, presences, texts, texts, st.sampled_from(["", "refused"]))


def calling(method: str, *arguments: st.SearchStrategy[object]) -> st.SearchStrategy[Call]:
    def bind(values: tuple[object, ...]) -> Call:
        def call(store: Store) -> Awaitable[object]:
            result: Awaitable[object] = getattr(store, method)(*values)
            return result

        call.__name__ = f"{method}{values!r}"
        return call

    return st.tuples(*arguments).map(bind)


calls = st.one_of(
    calling("keep_user", users),
    calling("drop_users", st.lists(guids, max_size=2)),
    calling("keep_mailbox", guids, st.none() | mailboxes, st.sampled_from(MailboxState), texts, instants),
    calling("keep_appointments", guids, st.lists(appointments, max_size=3), windows, instants),
    calling("expect_write", guids),
    calling("keep_write", writes),
    calling("forget_writes", few_instants),
    calling("keep_value", names, st.none() | st.binary(max_size=8)),
)


async def everything(store: Store) -> object:
    return (
        list(await store.load()),
        list(await store.fetch_writes(limit=1000)),
        [list(await store.fetch_writes(guid=guid, limit=2)) for guid in ("a", "b")],
        [await store.fetch_value(name) for name in ("cursor", "secret")],
    )


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gathered=st.lists(st.lists(calls, max_size=12), max_size=4))
async def test_both_stores_load_the_same(empty_database: Path, gathered: list[list[Call]]) -> None:
    """Calls in one inner list run at once (one transaction), the lists one after the other."""
    memory = MemoryStore()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(shutil.copy(empty_database, folder))
        sqlite = await open_store(path, FakeClock())
        try:
            for together in gathered:
                expected = [await call(memory) for call in together]
                assert await asyncio.gather(*(call(sqlite) for call in together)) == (
                    [result if isinstance(result, int) else None for result in expected]
                )
                assert await everything(sqlite) == await everything(memory)
            await sqlite.close()
            sqlite = await open_store(path, FakeClock())
            assert await everything(sqlite) == await everything(memory)
        finally:
            await sqlite.close()
