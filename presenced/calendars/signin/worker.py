"""A thread for calls that block: msal waits for the network without asking anybody.

The thread is a daemon's in the operating system's sense, too: a token endpoint that keeps silent must not
hold up a stop, and a thread pool would be waited for at exit.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def run_aside(call: Callable[[], T]) -> T:
    """What `call` returns or raises, from a thread of its own.

    A cancelled waiter leaves the thread to its own time limits; nobody hears of its result then.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def deliver(result: Callable[[], None]) -> None:
        if not future.done():
            result()

    def work() -> None:
        try:
            value = call()
        except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
            outcome = _raising(future, error)
        else:
            outcome = _returning(future, value)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(deliver, outcome)

    threading.Thread(target=work, name="sign-in", daemon=True).start()
    return await future


def _returning(future: asyncio.Future[T], value: T) -> Callable[[], None]:
    return lambda: future.set_result(value)


def _raising(future: asyncio.Future[T], error: BaseException) -> Callable[[], None]:
    return lambda: future.set_exception(error)
