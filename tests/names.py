"""A name server for tests: names and ports lead to sockets on loopback, everything else does not exist."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest

CLOSED = 1
"""a port of loopback nobody listens on"""


class Names:
    """In place of the machine's resolver while a test runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._places: dict[tuple[str, int], int] = {}
        self._known: set[str] = set()
        self.asked: list[tuple[str, int]] = []
        """every look-up of a name, in order"""
        self.failure = socket.EAI_NONAME
        """how a name that is not there fails"""
        self._real: Callable[..., Any] = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)

    def put(self, name: str, port: int, *, at: int = CLOSED) -> None:
        """`name:port` leads to this port of 127.0.0.1."""
        self._known.add(name)
        self._places[name, port] = at

    def _look_up(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        try:
            ip_address(name)
        except ValueError:
            pass
        else:
            return self._real(host, port, *args, **kwargs)
        number = int(port or 0)
        self.asked.append((name, number))
        if name not in self._known:
            raise socket.gaierror(self.failure, "Name or service not known")
        return self._real("127.0.0.1", self._places.get((name, number), CLOSED), *args, **kwargs)
