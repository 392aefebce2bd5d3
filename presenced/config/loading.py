"""The edge of the config room: the ini file on disk, and what its values point to."""

from __future__ import annotations

import codecs
import os
import ssl
from collections.abc import Mapping
from pathlib import Path

from presenced.config import secrets
from presenced.config.problems import ConfigProblems, Problem, Unfit
from presenced.config.reading import read_settings
from presenced.config.settings import Settings

MOST_BYTES = 1 << 20
"""an ini file is longer only by mistake"""


def load(path: Path, *, secrets_looked_up: bool = True) -> Settings:
    """The settings of an ini file; raises ConfigProblems with everything that is wrong with it.

    With `secrets_looked_up=False` the text alone is checked: secrets stay empty, and neither they nor
    certificates need to be on this machine.
    """
    file = str(path)
    try:
        with path.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
            mode = os.fstat(opened.fileno()).st_mode
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or "not a path"
        raise _only(file, 1, f"the file can't be read ({reason})", "check the path and its rights") from None
    if len(data) > MOST_BYTES:
        raise _only(file, 1, "the file is too long", f"at most {MOST_BYTES} bytes")
    text, problems = _decode(data, file)
    outside = Disk(path.parent, os.environ, exposed=secrets.readable_by_others(mode))
    settings = read_settings(text, file, outside if secrets_looked_up else None)
    if isinstance(settings, Settings) and not problems:
        return settings
    raise ConfigProblems(problems + (() if isinstance(settings, Settings) else settings))


class Disk:
    """This machine, as far as an ini file may point to it: the `Outside` of the reading."""

    def __init__(self, folder: Path, environ: Mapping[str, str], *, exposed: bool) -> None:
        self._folder = folder
        self._environ = environ
        self._exposed = exposed

    @property
    def exposed(self) -> bool:
        return self._exposed

    def look_up(self, reference: str) -> secrets.LookedUp:
        return secrets.look_up(reference, self._environ, self._folder)

    def check_file(self, path: Path) -> None:
        try:
            if not path.is_file():
                raise Unfit(f"there is no file {path}", "name a file that is there")
            with path.open("rb"):
                pass
        except (OSError, ValueError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or "not a path"
            raise Unfit(f"{path} can't be read ({reason})", "let the service read it") from None

    def check_tls_pair(self, certificate: Path, key: Path) -> None:
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key, password=lambda: "")  # never ask a terminal
        except (OSError, ValueError):
            raise Unfit(
                "certificate and key are no usable pair",
                "PEM files that belong together, the key without a passphrase",
            ) from None

    def check_tls_ca(self, path: Path) -> None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
        except (OSError, ValueError):
            raise Unfit(f"{path} holds no certificate to trust", "a PEM file with CA certificates") from None


def _decode(data: bytes, file: str) -> tuple[str, tuple[Problem, ...]]:
    """The text, and a problem for each line that is not UTF-8."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise _only(file, 1, "the file is UTF-16", "save it as UTF-8")
    try:
        return data.decode(), ()
    except UnicodeDecodeError:
        wrong = "this line is not UTF-8; save the file as UTF-8"
        lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        bad = [number for number, line in enumerate(lines, start=1) if _broken(line)]
        return data.decode(errors="replace"), tuple(Problem(file, number, wrong) for number in bad)


def _broken(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return True
    return False


def _only(file: str, line: int, wrong: str, meant: str) -> ConfigProblems:
    return ConfigProblems([Problem(file, line, f"{wrong}; {meant}")])
