"""Much work in one go, without anybody having to wait for its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

T = TypeVar("T")


async def in_slices(many: Iterable[T], size: int = 250) -> AsyncIterator[T]:
    """Many things, one after the other; the loop gets a turn between slices of so many."""
    for number, one in enumerate(many):
        if number % size == size - 1:
            await asyncio.sleep(0)
        yield one
