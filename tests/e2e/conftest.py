"""The world of the main job, for whoever wants no other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.test_main_job import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Everything is open; in the end neither simulator has seen a mistake of ours."""
    world = World(tmp_path)
    await world.open_exchange()
    await world.open_daemon()
    world.open_pbx()
    yield world
    await world.close()
    assert list(world.pbx.client_bugs) == []
    assert list(world.stage.exchange.client_bugs) == []
