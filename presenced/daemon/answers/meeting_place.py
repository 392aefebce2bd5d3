"""The unix socket on which a daemon answers its admin: where it lies, and how it is bound.

Whoever may open the file may ask, so the file is its owner's alone from its first moment on. It lies where
systemd says, else beside the store: two daemons can't share a store, so they never share a socket.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from stat import S_ISSOCK

from presenced.core.ports import DoorProblem

SERVICE_SOCKET = Path("/run/presenced/control.sock")
"""where the service of systemd/presenced.service has it (RuntimeDirectory=presenced)"""
_BACKLOG = 16


def socket_of(store: Path, environ: Mapping[str, str]) -> Path:
    """The socket of the daemon with this store; systemd names the folder of a service in its environment."""
    folder = _runtime_folder(environ)
    return Path(folder) / "control.sock" if folder else store.with_name(store.name + ".sock")


def is_service(environ: Mapping[str, str]) -> bool:
    """Whether systemd made a folder for the socket; its rights say who else may ask."""
    return bool(_runtime_folder(environ))


def bind(path: Path, *, group: bool) -> socket.socket:
    """A socket that listens there, for its owner alone or for the folder's group as well.

    Raises DoorProblem where another daemon answers there, OSError where it can't be bound.
    """
    _clear(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        mask = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(mask)
        if group:
            path.chmod(0o660)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def unbind(path: Path, listener_inode: int) -> None:
    """Remove the file, unless somebody else has put his own there."""
    try:
        if path.stat().st_ino == listener_inode:
            path.unlink()
    except OSError:
        return


def _runtime_folder(environ: Mapping[str, str]) -> str:
    return environ.get("RUNTIME_DIRECTORY", "").split(":")[0]


def _clear(path: Path) -> None:
    """Remove what a daemon left that was killed."""
    try:
        is_socket = S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise DoorProblem(f"{path} is in the way of the control socket", remedy="move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.setblocking(False)
        try:
            caller.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except FileNotFoundError:
            return
        except BlockingIOError:
            pass  # it listens and has much to do
    raise DoorProblem(
        f"another daemon answers at {path}", remedy="stop it first, or give this one a store of its own"
    )
