"""Brings a database to the schema this program knows, through alembic.

Alembic, because a migration must survive kill -9 like everything else here: it runs every missing version
and notes them in one transaction. (yoyo-migrations notes a version in a transaction after the one that
ran it, keeps a lock row that a killed process leaves behind, and asks DNS for the host's name.) It is
imported only when the schema has to change: in daily life `store.sqlite` reads the version by itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from presenced.core.ports import StoreProblem
from presenced.store.problems import problem_at

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy import Connection, Engine

HEAD = "0002"
"""the schema version this program reads and writes: the newest file in `migrations/versions`"""


def migrate(path: Path) -> None:
    """Run the versions the database lacks. Blocks; raises StoreProblem, for a newer database too."""
    import sqlalchemy as sa  # noqa: PLC0415 - 0.3 s that only a change of schema is worth
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)), poolclass=sa.NullPool)
    _let_ddl_be_transactional(engine)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, HEAD)
    except CommandError as error:
        raise StoreProblem(
            f"{path} can't be brought to schema {HEAD}: {error}",
            remedy="install the newer presenced that wrote it, or move the file away",
        ) from error
    except sa.exc.DBAPIError as error:
        raise problem_at(path, error.orig if isinstance(error.orig, Exception) else error) from error
    finally:
        engine.dispose()


def _let_ddl_be_transactional(engine: Engine) -> None:
    """The driver must not begin or commit by itself (SQLAlchemy, "pysqlite: transactional DDL")."""
    from sqlalchemy import event  # noqa: PLC0415

    @event.listens_for(engine, "connect")
    def connect(driver: sqlite3.Connection, _record: object) -> None:
        driver.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
