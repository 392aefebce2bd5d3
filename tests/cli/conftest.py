"""A world for `check --connect`, closed and looked over at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cli.chain import Chain


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncIterator[Chain]:
    chain = Chain(tmp_path)
    yield chain
    await chain.close()
    assert list(chain.pbx.client_bugs) == []
    assert list(chain.stage.exchange.client_bugs) == []
