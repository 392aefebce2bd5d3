"""Opening: what is made, what is refused, what is set aside."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

import presenced.store.migrations
from presenced.core.ports import StoreProblem
from presenced.store import schema
from presenced.store import sqlite as sqlite_store
from presenced.store.files import set_aside
from presenced.store.migrate import HEAD, migrate
from presenced.store.sqlite import open_store
from tests.clock import FakeClock
from tests.store.samples import ANNA, BERT, HOLIDAY, MEETING, NOW, WINDOW, sqlite_at, written


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def guids(path: Path) -> list[str]:
    async with sqlite_at(path) as store:
        return [kept.user.guid for kept in await store.load()]


async def fill(path: Path) -> None:
    async with sqlite_at(path) as store:
        for number in range(200):
            user = type(ANNA)(f"{number:032x}", "somebody", cn="x" * 100)
            await store.keep_user(user)


async def test_a_fresh_database_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "lib" / "presenced.db"
    async with sqlite_at(path) as store:
        await store.keep_user(ANNA)
        assert mode(path.parent) == 0o700
        assert {one.name: mode(one) for one in path.parent.iterdir()} == {
            "presenced.db": 0o600,
            "presenced.db-wal": 0o600,
            "presenced.db-shm": 0o600,
        }
    assert [one.name for one in path.parent.iterdir()] == ["presenced.db"]
    path.chmod(0o644)
    assert await guids(path) == [ANNA.guid]
    assert mode(path) == 0o600


async def test_a_name_with_odd_characters_will_do(tmp_path: Path) -> None:
    path = tmp_path / "50% ä?#;" / "a b.db"
    await fill(path)
    assert len(await guids(path)) == 200
    assert [one.name for one in path.parent.iterdir()] == ["a b.db"]


def test_the_schema_version_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(presenced.store.migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


async def test_a_current_database_needs_no_migration(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "migrate", None)
    assert await guids(database) == []


async def test_what_an_older_version_kept_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "presenced.db"
    monkeypatch.setattr("presenced.store.migrate.HEAD", "0001")
    migrate(path)
    monkeypatch.undo()
    connection = sqlite3.connect(path)
    with connection:
        for guid in (ANNA.guid, BERT.guid):
            connection.execute("INSERT INTO users VALUES (?, 'x', '', '', '', '', '[]')", (guid,))
            times = map(schema.instant, (WINDOW.start, WINDOW.end, NOW))
            connection.execute("INSERT INTO windows VALUES (?, ?, ?, ?)", (guid, *times))
        for place, one in enumerate((HOLIDAY, MEETING)):
            fields = one._replace(start=schema.instant(one.start), end=schema.instant(one.end))  # type: ignore[arg-type]
            marks = ", ".join("?" * (2 + len(fields)))
            connection.execute(f"INSERT INTO appointments VALUES ({marks})", (ANNA.guid, place, *fields))
    connection.close()
    async with sqlite_at(path) as store:
        anna, bert = await store.load()
    assert anna.appointments == (HOLIDAY, MEETING)
    assert bert.appointments == ()
    assert (anna.window, anna.read_at) == (bert.window, bert.read_at) == (WINDOW, NOW)


def test_a_migration_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Cut(Exception):
        pass

    def cut(*_: object, **__: object) -> None:
        raise Cut

    monkeypatch.setattr("alembic.op.create_index", cut)
    with pytest.raises(Cut):
        migrate(tmp_path / "x.db")
    monkeypatch.undo()
    with sqlite3.connect(tmp_path / "x.db") as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()
    migrate(tmp_path / "x.db")


def garbage(path: Path) -> None:
    path.write_bytes(b"this is no database, nor has it ever been one. " * 100)


def torn(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(b"\xa5" * (size // 2))


def cut_short(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


@pytest.mark.parametrize("spoil", [garbage, torn, cut_short])
async def test_a_corrupt_database_is_set_aside_with_a_warning(
    database: Path, spoil: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    await fill(database)
    spoil(database)
    spoilt = database.read_bytes()
    with caplog.at_level(logging.WARNING):
        assert await guids(database) == []
    aside = database.with_name("presenced.db.corrupt-20261116T080000Z")
    assert aside.read_bytes() == spoilt
    (record,) = [record for record in caplog.records if record.name == sqlite_store.__name__]
    assert record.levelno == logging.WARNING
    assert "\n" not in record.getMessage()
    for words in (str(database), str(aside), "users come back from the PBX", "Exchange"):
        assert words in record.getMessage()


def test_setting_aside_takes_the_logs_along_and_overwrites_nothing(tmp_path: Path) -> None:
    for number, name in enumerate(["x.db.corrupt-20261116T080000Z", "x.db.corrupt-20261116T080000Z-2"]):
        for suffix in ("", "-wal"):
            (tmp_path / f"x.db{suffix}").write_text(f"{number}{suffix}")
        assert set_aside(tmp_path / "x.db", FakeClock().now()) == tmp_path / name
    assert {one.name: one.read_text() for one in tmp_path.iterdir()} == {
        "x.db.corrupt-20261116T080000Z": "0",
        "x.db.corrupt-20261116T080000Z-wal": "0-wal",
        "x.db.corrupt-20261116T080000Z-2": "1",
        "x.db.corrupt-20261116T080000Z-2-wal": "1-wal",
    }


async def test_a_newer_version_s_database_is_refused_and_left_alone(database: Path) -> None:
    await fill(database)
    connection = sqlite3.connect(database)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    before = database.read_bytes()
    with pytest.raises(StoreProblem, match="9999") as caught:
        await open_store(database, FakeClock())
    assert "newer presenced" in caught.value.remedy
    assert database.read_bytes() == before
    assert [one.name for one in database.parent.iterdir()] == ["presenced.db"]


async def test_another_program_s_database_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "x.db")
    connection.execute("CREATE TABLE bookmarks (x)")
    connection.close()
    with pytest.raises(StoreProblem, match=r"another program .*bookmarks"):
        await open_store(tmp_path / "x.db", FakeClock())


async def test_a_migration_that_sqlite_refuses_is_a_problem_in_words(database: Path) -> None:
    connection = sqlite3.connect(database)
    connection.execute("DELETE FROM alembic_version")
    connection.commit()
    connection.close()
    with pytest.raises(StoreProblem, match=r"presenced\.db can't be .*already exists"):
        await open_store(database, FakeClock())


async def test_a_place_that_can_not_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreProblem, match="is not a file"):
        await open_store(tmp_path, FakeClock())
    with pytest.raises(StoreProblem, match="can't be made") as caught:
        await open_store(tmp_path / "file" / "x.db", FakeClock())
    assert "[store] url" in caught.value.remedy


async def test_one_call_that_can_not_be_kept_spoils_no_other(database: Path) -> None:
    async with sqlite_at(database) as store:
        odd = type(ANNA)("odd", "half a \ud83d pair")
        results = await asyncio.gather(
            store.keep_user(ANNA), store.keep_user(odd), store.keep_user(BERT), return_exceptions=True
        )
        assert [type(result) for result in results] == [type(None), StoreProblem, type(None)]
        assert [kept.user for kept in await store.load()] == [ANNA, BERT]


async def test_a_disk_without_room_is_told_to_every_caller(database: Path) -> None:
    async with sqlite_at(database) as store:
        await store.keep_user(ANNA)
        await store._writer.execute_fetchall("PRAGMA max_page_count = 1")
        big = [type(ANNA)(name, "x" * 100_000) for name in ("c", "d")]
        results = await asyncio.gather(*map(store.keep_user, big), return_exceptions=True)
        for result in results:
            assert isinstance(result, StoreProblem)
            assert result.remedy == "make room on the disk"
        await store._writer.execute_fetchall("PRAGMA max_page_count = 100000")
        await store.keep_user(big[0])
        assert [kept.user for kept in await store.load()] == [ANNA, big[0]]


async def test_close_commits_what_was_asked_before(database: Path) -> None:
    async with sqlite_at(database) as store:
        users = [type(ANNA)(f"{number:032x}", "x") for number in range(sqlite_store.WAITING + 50)]
        tasks = [asyncio.create_task(store.keep_user(user)) for user in users]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert await guids(database) == [user.guid for user in users]


async def test_a_caller_that_gave_up_leaves_the_store_well(database: Path) -> None:
    async with sqlite_at(database) as store:
        tasks = [asyncio.create_task(store.keep_user(ANNA)) for _ in range(sqlite_store.WAITING + 5)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await store.keep_user(BERT)
    assert BERT.guid in await guids(database)


async def test_loading_takes_one_query_however_many_users(database: Path) -> None:
    async with sqlite_at(database) as store:
        users = [type(ANNA)(f"{number:032x}", "x") for number in range(50)]
        await asyncio.gather(*map(store.keep_user, users))
        await asyncio.gather(
            *(store.keep_appointments(one.guid, [MEETING] * 40, WINDOW, NOW) for one in users)
        )
        await asyncio.gather(*(store.keep_write(written(one.guid)) for one in users))
        statements: list[str] = []
        await store._reader.set_trace_callback(statements.append)
        kept = await store.load()
        assert [one.appointments for one in kept] == [(MEETING,) * 40] * 50
        assert len([statement for statement in statements if "SELECT" in statement]) == 1


async def test_what_is_gathered_goes_in_one_transaction(database: Path) -> None:
    async with sqlite_at(database) as store:
        statements: list[str] = []
        await store._writer.set_trace_callback(statements.append)
        users = [type(ANNA)(f"{number:032x}", "x") for number in range(100)]
        await asyncio.gather(*map(store.keep_user, users))
        assert statements.count("COMMIT") <= 2


async def test_the_log_begins_anew_under_lasting_load(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "CHECKPOINT_PAUSE", 0.0)
    monkeypatch.setattr(sqlite_store, "LONG_LOG", 50)
    log = database.with_name(f"{database.name}-wal")
    async with sqlite_at(database) as store:
        for number in range(400):
            await store.keep_value(f"cursor {number % 3}", bytes([number % 256]) * 20_000)
        assert log.stat().st_size < 400 * 20_000 / 4
        assert await store.fetch_value("cursor 0") == bytes([399 % 256]) * 20_000
