"""Priority words: whole words and phrases, whatever the case and composition."""

from __future__ import annotations

import pytest

from presenced.core.priority import PriorityWords


@pytest.mark.parametrize(
    ("words", "exclude", "subject", "prioritized"),
    [
        (("vacation",), (), "Vacation!", True),
        (("VACATION",), (), "my vacation", True),
        (("vacation",), (), "vacations", False),
        (("vacation",), (), "pre_vacation", False),
        (("vacation",), (), "vacation2", False),
        (("vacation",), (), "vacation²", True),
        (("vacation",), (), "vacation\u0301", False),
        (("vacation",), (), "(vacation)", True),
        (("on leave",), (), "He is on \t leave", True),
        (("on leave",), (), "leave on", False),
        (("on  leave",), (), "on leave", True),
        (("straße",), (), "STRASSE", True),
        (("café",), (), "cafe\u0301", True),
        (("café",), (), "cafe", False),
        (("vaca\x07tion",), (), "vacation", True),
        (("vacation",), ("home office",), "vacation, not Home  Office", False),
        (("vacation",), ("office",), "vacation officer", True),
        ((), (), "vacation", False),
        (("", " "), (), "vacation", False),
        (("c++",), (), "C++ course", True),
        (("urlaub",), (), "", False),
    ],
)
def test_priority(words: tuple[str, ...], exclude: tuple[str, ...], subject: str, prioritized: bool) -> None:
    assert PriorityWords(words, exclude).prioritize(subject) is prioritized
