"""Which [user ...] section applies to whom."""

from __future__ import annotations

import pytest

from presenced.core.activity import Mapped
from tests.config.sample import SMALL, Machine, read

TEXT = (
    SMALL
    + """\
subject = show
[mapping]
tentative = busy
tentative_exception_organizers = hr@example.com
[user *@example.com]
subject = hide
tentative = away
[user *]
sync = no
[user Boss@Example.com]
language = de
tentative_exception_organizers =
[user second@example.org]
timezone = Asia/Tokyo
[user [xy]?@example.net]
out_of_office = dnd
"""
)


@pytest.mark.parametrize(
    ("addresses", "section"),
    [
        (("anna@example.com",), "*@example.com"),
        (("ANNA@EXAMPLE.COM",), "*@example.com"),
        (("boss@example.com",), "Boss@Example.com"),
        (("anna@example.com", "boss@example.com"), "Boss@Example.com"),
        (("second@example.org", "boss@example.com"), "Boss@Example.com"),
        (("anna@example.com", "second@example.org"), "second@example.org"),
        (("x1@example.net",), "*"),
        ((), ""),
    ],
)
def test_the_exact_address_wins_then_the_first_section(addresses: tuple[str, ...], section: str) -> None:
    assert read(TEXT, Machine()).for_user(addresses).section == section


def test_one_section_applies_and_not_a_mixture() -> None:
    boss = read(TEXT, Machine()).for_user(("boss@example.com",))
    assert boss.language == "de"
    assert boss.subject_shown is True
    assert boss.mapping.tentative is Mapped.BUSY


def test_what_a_section_does_not_set_is_general() -> None:
    anna = read(TEXT, Machine()).for_user(("anna@example.com",))
    assert anna.sync is True
    assert anna.subject_shown is False
    assert anna.timezone == "Europe/Berlin"
    assert anna.mapping.tentative is Mapped.AWAY
    assert anna.mapping.tentative_exception_organizers == ("hr@example.com",)


def test_an_empty_list_in_a_section_means_none() -> None:
    boss = read(TEXT, Machine()).for_user(("boss@example.com",))
    assert boss.mapping.tentative_exception_organizers == ()


def test_sync_no() -> None:
    assert read(TEXT, Machine()).for_user(("else@example.net",)).sync is False


def test_a_glob_may_name_a_set_of_letters() -> None:
    text = TEXT.replace("[user *]\nsync = no\n", "")
    assert read(text, Machine()).for_user(("X1@example.net",)).mapping.out_of_office is Mapped.DND
    assert read(text, Machine()).for_user(("z1@example.net",)).section == ""
