"""`presenced secret seal`: what it reads, prints and leaves behind."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from presenced.cli.main import main
from presenced.config.secrets import look_up
from presenced.daemon.web.signing import PasswordHash


def seal(key_file: Path, typed: str | bytes) -> Result:
    environ = {"PRESENCED_KEY_FILE": str(key_file), "CREDENTIALS_DIRECTORY": None}
    return CliRunner().invoke(main, ["secret", "seal"], input=typed, env=environ)


def opened(key_file: Path, sealed: str) -> str:
    return look_up(sealed, {"PRESENCED_KEY_FILE": str(key_file)}, Path()).secret.reveal()


def test_seals_a_line_of_standard_input(tmp_path: Path) -> None:
    key_file = tmp_path / "presenced.key"
    first = seal(key_file, "  hünter2 \nrest\n")
    assert first.exit_code == 0
    assert first.stderr == f"made the key file {key_file}; the service alone should read it\n"
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert first.stdout.startswith("sealed:")
    assert first.stdout.count("\n") == 1
    assert opened(key_file, first.stdout.strip()) == "  hünter2 "
    second = seal(key_file, "other\r\n")
    assert second.stderr == ""
    assert opened(key_file, second.stdout.strip()) == "other"
    assert opened(key_file, first.stdout.strip()) == "  hünter2 "


def test_asks_without_echo_at_a_terminal(tmp_path: Path) -> None:
    key_file = tmp_path / "presenced.key"
    environ = {**os.environ, "PRESENCED_KEY_FILE": str(key_file)}
    keyboard, terminal = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "presenced", "secret", "seal"],
        cwd=Path(__file__).parents[2],
        env=environ,
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        os.close(terminal)
        assert process.stderr is not None
        asked = process.stderr.read(len("Secret: "))  # what was typed before it asked would be thrown away
        os.write(keyboard, b"hunter2\n")
        sealed, told = process.communicate(timeout=30)
    os.set_blocking(keyboard, False)
    with contextlib.suppress(OSError):  # EIO: nobody holds the other end any more
        assert b"hunter2" not in os.read(keyboard, 100)
    os.close(keyboard)
    assert process.returncode == 0
    assert asked == b"Secret: "
    assert b"hunter2" not in told
    assert opened(key_file, sealed.decode().strip()) == "hunter2"


@pytest.mark.parametrize(
    ("typed", "told"), [("", "no secret"), ("\n", "no secret"), (b"\xff\n", "not UTF-8")]
)
def test_nothing_to_seal(tmp_path: Path, typed: str | bytes, told: str) -> None:
    result = seal(tmp_path / "presenced.key", typed)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert told in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "presenced.key").exists()


def test_a_key_file_others_can_read_is_not_used(tmp_path: Path) -> None:
    key_file = tmp_path / "presenced.key"
    seal(key_file, "x\n")
    key_file.chmod(0o644)
    result = seal(key_file, "hunter2\n")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert f"chmod 600 {key_file}" in result.stderr
    assert "hunter2" not in result.stderr


def test_a_key_file_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = seal(tmp_path / "file" / "presenced.key", "hunter2\n")
    assert result.exit_code == 1
    assert "the key file can't be" in result.stderr
    assert "hunter2" not in result.stderr


def test_hashes_a_password_for_the_status_page() -> None:
    first, second = (CliRunner().invoke(main, ["secret", "hash"], input="hünter2\n") for _ in range(2))
    assert first.exit_code == 0
    assert first.stdout != second.stdout, "each has a salt of its own"
    made = PasswordHash.read(first.stdout.strip())
    assert made is not None
    assert made.fits("hünter2")
    assert not made.fits("hunter2")
    assert CliRunner().invoke(main, ["secret", "hash"], input="\n").exit_code == 1
