"""Where secrets lie, and how they are sealed.

A key of the ini file holds a secret itself, or a reference: `env:NAME`, `file:PATH`,
`credential:NAME` (systemd's credential directory) or `sealed:…`, encrypted with the key file of the
installation, so that an ini file can be shown around and kept in version control. The recipe is
Fernet (AES-128-CBC with HMAC-SHA256): authenticated, and nothing in it to get wrong. All of this
runs while a file is read or by `presenced secret seal`; nobody else touches the key file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from presenced.config.problems import Unfit, shown
from presenced.config.settings import Secret

CREDENTIALS_DIRECTORY = "CREDENTIALS_DIRECTORY"
"""set by systemd for a service with LoadCredential="""
KEY_FILE = "PRESENCED_KEY_FILE"
"""names another key file than the usual one"""
USUAL_KEY_FILE = Path("/etc/presenced/presenced.key")
KEY_CREDENTIAL = "presenced.key"

_SCHEMES = ("env", "file", "credential", "sealed")
_MOST_BYTES = 65536


@dataclass(frozen=True, slots=True)
class LookedUp:
    """A secret, and what is to be said of where it lay ("": nothing)."""

    secret: Secret
    warning: str = ""


def is_reference(text: str) -> bool:
    """Whether this says where a secret lies, and is not the secret itself."""
    return text.partition(":")[0] in _SCHEMES and ":" in text


def look_up(reference: str, environ: Mapping[str, str], folder: Path) -> LookedUp:
    """The secret behind a reference; raises Unfit.

    `folder` is where relative paths of `file:` start.
    """
    scheme, _, rest = reference.partition(":")
    if not rest:
        raise Unfit(f"nothing stands behind {scheme}:", "env:NAME, file:PATH, credential:NAME or sealed:…")
    if scheme == "env":
        found = LookedUp(Secret(_from_environment(rest, environ)))
    elif scheme == "file":
        found = _from_file(folder / rest)
    elif scheme == "credential":
        found = LookedUp(Secret(_read(_credential(rest, environ))))
    else:
        found = LookedUp(Secret(unseal(reference, read_key(environ))))
    if not found.secret:
        raise Unfit("the secret is empty", f"put it where this {scheme}: leads")
    return found


def seal(secret: str, key: bytes) -> str:
    """The `sealed:…` value that stands for this secret in an ini file."""
    return "sealed:" + Fernet(key).encrypt(secret.encode()).decode("ascii")


def unseal(sealed: str, key: bytes) -> str:
    """The secret of a `sealed:…` value; raises Unfit."""
    try:
        return Fernet(key).decrypt(sealed.removeprefix("sealed:").encode()).decode()
    except (InvalidToken, ValueError):
        raise Unfit(
            "it was sealed with another key, or a part of it is missing",
            "seal the secret again with presenced secret seal",
        ) from None


def read_key(environ: Mapping[str, str]) -> bytes:
    """The key of the installation: systemd's credential, else the key file; raises Unfit."""
    try:
        if credential := _key_credential(environ):  # systemd guards it, and shows its ACLs as group bits
            return _checked_key(_read(credential), credential)
        path = key_file(environ)
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise Unfit(
            f"the key file {path} is missing",
            f"presenced secret seal makes one; {KEY_FILE} or the credential {KEY_CREDENTIAL} name another",
        ) from None
    except (OSError, ValueError) as error:
        raise Unfit(
            f"the key file can't be reached ({_reason(error)})", "check its path and its rights"
        ) from None
    if mode & 0o077:
        raise Unfit(f"the key file {path} can be read by others than its owner", f"chmod 600 {path}")
    return _checked_key(_read(path), path)


def obtain_key(environ: Mapping[str, str]) -> tuple[bytes, Path | None]:
    """The key of the installation, made if there is none; and the file that was made, if one was.

    Raises Unfit for a key that can't be used, OSError where none can be written.
    """
    path = key_file(environ)
    if path.exists() or _key_credential(environ):
        return read_key(environ), None
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    key = Fernet.generate_key()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key + b"\n")
        file.flush()
        os.fsync(descriptor)
    return key, path


def key_file(environ: Mapping[str, str]) -> Path:
    """Where the key file of this installation lies."""
    return Path(environ.get(KEY_FILE) or USUAL_KEY_FILE)


def readable_by_others(mode: int) -> bool:
    """Whether somebody besides owner and group may read; a group is granted on purpose."""
    return bool(mode & stat.S_IROTH)


def _key_credential(environ: Mapping[str, str]) -> Path | None:
    directory = environ.get(CREDENTIALS_DIRECTORY)
    path = Path(directory) / KEY_CREDENTIAL if directory else None
    return path if path and path.exists() else None


def _checked_key(text: str, path: Path) -> bytes:
    key = text.strip().encode()
    try:
        Fernet(key)
    except ValueError:
        raise Unfit(f"{path} holds no key", "remove it and seal the secrets again") from None
    return key


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        raise Unfit(f"the environment variable {shown(name)} is not set", "set it for the service")
    return environ[name]


def _from_file(path: Path) -> LookedUp:
    text = _read(path)
    try:
        openly = readable_by_others(path.stat().st_mode)
    except OSError:  # gone since
        openly = False
    return LookedUp(Secret(text), f"others can read {path}" if openly else "")


def _credential(name: str, environ: Mapping[str, str]) -> Path:
    if "/" in name or name in {".", ".."}:
        raise Unfit(
            f"{shown(name)} is no name of a credential", "a name without slashes, as in LoadCredential="
        )
    directory = environ.get(CREDENTIALS_DIRECTORY)
    if not directory:
        raise Unfit(
            f"there is no credential directory ({CREDENTIALS_DIRECTORY} is not set)",
            "start the daemon by systemd with LoadCredential=, or use file:PATH",
        )
    return Path(directory) / name


def _read(path: Path) -> str:
    """A small text file without the line end that ends it; raises Unfit."""
    try:
        if not path.is_file():
            raise Unfit(f"{path} is no file", "name a file that holds the secret alone")
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise Unfit(f"{path} is too long for a secret", f"at most {_MOST_BYTES} bytes")
        return data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Unfit(f"{path} is no UTF-8 text", "save it as UTF-8") from None
    except (OSError, ValueError) as error:
        raise Unfit(f"{path} can't be read ({_reason(error)})", "check the path and its rights") from None


def _reason(error: OSError | ValueError) -> str:
    return (isinstance(error, OSError) and error.strerror) or "not a path"
