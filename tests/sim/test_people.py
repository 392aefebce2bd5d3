"""Seeded people: unique, untidy as real rows are, and the same whenever asked."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytz
from babel import Locale
from hypothesis import given, settings
from hypothesis import strategies as st

from presenced.sim.people import FAMILY, GIVEN, folded, people, person

COMBINATIONS = len(GIVEN) * len(FAMILY)


def test_names_fold_to_plain_and_different_letters() -> None:
    for names in (GIVEN, FAMILY):
        spelled = [folded(name) for name in names]
        assert len(set(spelled)) == len(names)
        assert all(name.isascii() and name.isalpha() and name.islower() for name in spelled)


def test_nobody_has_a_namesake_on_the_pbx_or_in_exchange() -> None:
    everybody = list(people(COMBINATIONS + 500, seed=3))
    assert len({one.guid for one in everybody}) == len(everybody)
    assert len({one.h323 for one in everybody}) == len(everybody)
    addresses = [address for one in everybody for address in (one.mailbox, *one.aliases) if address]
    assert len(set(addresses)) == len(addresses)
    assert len({(one.given, one.family) for one in islice(everybody, COMBINATIONS)}) == COMBINATIONS


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_person_depends_on_seed_and_number_alone(seed: int, number: int) -> None:
    one = person(number, seed=seed)
    assert one == person(number, seed=seed)
    assert one.guid != person(number, seed=seed + 1).guid
    assert len(one.guid) == 32
    assert one.zone in pytz.all_timezones_set
    Locale.parse(one.language)


def candidates(emails: tuple[str, ...], h323: str, domain: str, *, h323_email: bool) -> list[str]:
    """pbx-link.md section 3, in the words of the document."""
    asked = [part.strip() for entry in emails for part in entry.split(";")]
    asked += [h323] if h323_email else []
    asked.append(h323)
    return [address if "@" in address else f"{address}@{domain}" for address in asked]


def test_rows_are_as_untidy_as_real_ones() -> None:
    seen: Counter[str] = Counter()
    everybody = list(people(2000, seed=1, domain="example.org"))
    for one in everybody:
        asked = candidates(one.emails, one.h323, "example.org", h323_email=one.h323_email)
        known = {one.mailbox, *one.aliases} - {""}
        found = [address in known for address in asked]
        assert any(found) == bool(one.mailbox), "whoever has a mailbox is found by the PBX's data"
        seen["none"] += not one.mailbox
        seen["second"] += any(found) and not found[0]
        seen["list"] += any(";" in entry for entry in one.emails)
        seen["bare"] += any("@" not in entry for entry in one.emails)
        seen["alias first"] += found[0] and asked[0] != one.mailbox
        seen["no e-mail"] += not one.emails
        seen["h323 is one"] += one.h323_email
        seen["no extension"] += not one.e164
    assert all(seen[kind] >= 10 for kind in seen)
    assert len(seen) == 8
    assert seen["none"] < 0.1 * len(everybody)
    assert "Charlotte Maihoff" in {one.cn for one in people(COMBINATIONS)}
    assert everybody[0].dn == f"{everybody[0].family}, {everybody[0].given}"
