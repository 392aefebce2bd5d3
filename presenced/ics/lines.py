"""Bytes to components: encoding, folded lines and BEGIN/END, each with the line it stands on.

Our own, because a problem must name its line and because exports are folded in the middle of a
character, broken with bare line feeds and written in whatever encoding the program had at hand.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from presenced.ics.model import IcsProblem

_DEEPEST = 8
_BREAK = re.compile(rb"\r\n|\n|\r")
_NAME = re.compile(r"[A-Za-z0-9-]+")
_EXPORT_AGAIN = "export the calendar again"


@dataclass(frozen=True, slots=True)
class Line:
    """One content line, unfolded."""

    number: int
    text: str

    @property
    def name(self) -> str:
        """The property's name in capitals, "" where there is none."""
        match = _NAME.match(self.text)
        return match[0].upper() if match else ""


@dataclass(slots=True)
class Component:
    """What stands between BEGIN and END."""

    name: str
    line: int
    lines: list[Line] = field(default_factory=list)
    children: list[Component] = field(default_factory=list)

    def text(self) -> str:
        """The component as it was read, unfolded."""
        inner = [line.text for line in self.lines] + [child.text() for child in self.children]
        return "\r\n".join([f"BEGIN:{self.name}", *inner, f"END:{self.name}"])


def parse(name: str, data: bytes) -> list[Component]:
    """The VCALENDAR components of one file; raises IcsProblem."""
    roots: list[Component] = []
    stack: list[Component] = []
    for line in _unfold(_to_utf8(data)):
        if line.name == "BEGIN":
            stack.append(Component(_word(line), line.number))
            if len(stack) > _DEEPEST:
                raise IcsProblem(name, line.number, "components stand too deep in each other", _EXPORT_AGAIN)
        elif line.name == "END":
            _close(name, line, stack, roots)
        elif stack:
            stack[-1].lines.append(line)
    if stack:
        raise IcsProblem(
            name, stack[-1].line, f"BEGIN:{stack[-1].name} without an END, the file is cut off", _EXPORT_AGAIN
        )
    calendars = [root for root in roots if root.name == "VCALENDAR"]
    if not calendars:
        raise IcsProblem(name, None, "no calendar in this file (BEGIN:VCALENDAR)", "name an iCalendar file")
    return calendars


def _close(name: str, line: Line, stack: list[Component], roots: list[Component]) -> None:
    ended = _word(line)
    if not stack or stack[-1].name != ended:
        begun = f"BEGIN:{stack[-1].name} of line {stack[-1].line}" if stack else "nothing"
        raise IcsProblem(name, line.number, f"END:{ended[:40]} where {begun} is open", _EXPORT_AGAIN)
    done = stack.pop()
    (stack[-1].children if stack else roots).append(done)


def _word(line: Line) -> str:
    return line.text.partition(":")[2].strip().upper()


def _to_utf8(data: bytes) -> bytes:
    """Without a byte order mark; UTF-16 (with or without one) turned into UTF-8."""
    if data.startswith(codecs.BOM_UTF8):
        return data[len(codecs.BOM_UTF8) :]
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace").encode()
    if data.startswith(b"B\0"):
        return data.decode("utf-16-le", "replace").encode()
    if data.startswith(b"\0B"):
        return data.decode("utf-16-be", "replace").encode()
    return data


def _unfold(data: bytes) -> Iterator[Line]:
    """Content lines (RFC 5545 section 3.1); joined as bytes, for a fold may split a character."""
    number, parts = 0, list[bytes]()
    for count, raw in enumerate(_BREAK.split(data), start=1):
        if raw.startswith((b" ", b"\t")):
            parts.append(raw[1:])
        elif raw:
            if number:
                yield Line(number, _decode(b"".join(parts)))
            number, parts = count, [raw]
    if number:
        yield Line(number, _decode(b"".join(parts)))


def _decode(raw: bytes) -> str:
    """UTF-8, else what Windows programs wrote before they knew of it."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")
