"""Stores to test: the same tests run against every kind."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from presenced.core.ports import Store
from presenced.store.memory import MemoryStore
from presenced.store.migrate import migrate
from presenced.store.sqlite import open_store
from tests.clock import FakeClock


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables: making them once is enough."""
    path = tmp_path_factory.mktemp("empty") / "presenced.db"
    migrate(path)
    return path


@pytest.fixture
def database(empty_database: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(empty_database, tmp_path / "presenced.db"))


class Opened:
    """A store that a test may close and open again."""

    def __init__(self, reopen: Callable[[Store | None], Awaitable[Store]]) -> None:
        self._reopen = reopen
        self._store: Store | None = None

    async def again(self) -> Store:
        """What the next start of the program finds."""
        self._store = await self._reopen(self._store)
        return self._store

    async def close(self) -> None:
        if self._store:
            await self._store.close()


@pytest.fixture(params=["sqlite", "memory"])
async def opened(request: pytest.FixtureRequest, database: Path) -> AsyncIterator[Opened]:
    async def sqlite(store: Store | None) -> Store:
        if store:
            await store.close()
        return await open_store(database, FakeClock())

    async def memory(store: Store | None) -> Store:
        return store or MemoryStore()

    opened = Opened(sqlite if request.param == "sqlite" else memory)
    yield opened
    await opened.close()


@pytest.fixture
async def store(opened: Opened) -> Store:
    return await opened.again()
