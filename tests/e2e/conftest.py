"""The world of the main job, for whoever wants no other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.test_main_job import World, opened


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Everything is open, and well in the end."""
    async with opened(World(tmp_path)) as world:
        yield world
