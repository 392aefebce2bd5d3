"""`presenced demo`: what it says in a terminal, and to programs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

TREE = Path(__file__).parents[2]
DEMO = [sys.executable, "-m", "presenced", "demo", "--users", "3", "--seconds", "3"]


def test_in_a_terminal_it_shows_everybody_and_where_the_page_is() -> None:
    keyboard, terminal = os.openpty()
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "30"}
    with subprocess.Popen(
        DEMO, cwd=TREE, env=environ, stdin=terminal, stdout=terminal, stderr=terminal
    ) as process:
        os.close(terminal)
        said = b""
        try:
            while piece := os.read(keyboard, 65536):
                said += piece
        except OSError:  # EIO: the demo is over
            pass
    os.close(keyboard)
    assert process.returncode == 0, said.decode()
    assert re.search(rb"status page http://127\.0\.0\.1:\d+/", said)
    assert b"demo.ini" in said
    assert b"aegidiusaakesson" in said


def test_for_programs_it_prints_objects_alone() -> None:
    done = subprocess.run([*DEMO, "--json"], cwd=TREE, capture_output=True, text=True, check=True, timeout=60)
    *writes, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert last["summary"]["writes"] == len(writes) > 0
    assert "Status page: http://127.0.0.1:" in done.stderr
