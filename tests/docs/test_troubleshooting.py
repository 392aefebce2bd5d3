"""Every message that the troubleshooting page quotes is really said somewhere in the program."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "admin" / "troubleshooting.md"
_ROW = re.compile(r"\| `([^`]+)` \|")
_FORMAT = re.compile(r"%[-#0 +]*\d*(?:\.\d+)?[sdrgf]")


def quoted() -> list[str]:
    """The messages in the first column, without the table of commands."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = (_ROW.match(line) for line in lines)
    return [row[1] for row in rows if row is not None and not row[1].startswith("presenced ")]


def said() -> str:
    """All texts in the program, `…` for what is filled in; simulators say nothing to an admin."""
    texts: list[str] = []
    for path in sorted((ROOT / "presenced").rglob("*.py")):
        if "sim" not in path.relative_to(ROOT).parts:
            texts += _texts(ast.parse(path.read_text(encoding="utf-8")))
    return "\n".join(texts)


def _texts(tree: ast.Module) -> Iterator[str]:
    nodes = list(ast.walk(tree))
    docstrings = {node.value for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if node in docstrings:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield _FORMAT.sub("…", node.value)
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)


SAID = said()


@pytest.mark.parametrize("message", quoted())
def test_it_is_said(message: str) -> None:
    """As a whole; or, where a sentence is put together, each of its parts."""
    parts = [part.strip(" :,;()") for part in message.split("…")]
    assert any(len(part) >= 6 for part in parts), "there is something to look for"
    assert message in SAID or all(part in SAID for part in parts), message


def test_there_are_many() -> None:
    assert len(quoted()) > 80
    assert len(set(quoted())) == len(quoted()), "each message once"
