"""The list of keys, the settings' defaults and the shipped file say the same."""

from __future__ import annotations

import configparser
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from presenced.config.loading import load
from presenced.config.schema import SECTIONS, USER_KEYS, Key
from presenced.config.settings import (
    AlertSettings,
    ExchangeSettings,
    LogSettings,
    PbxSettings,
    PresenceSettings,
    StoreSettings,
    UserSection,
    WebSettings,
)
from presenced.core.mapping import MappingTable
from tests.config.sample import Machine, read

SHIPPED = Path(__file__).parents[2] / "etc" / "presenced.ini"
DATACLASSES: dict[str, Any] = {
    "pbx": PbxSettings(),
    "presence": PresenceSettings("UTC"),
    "mapping": MappingTable(),
    "exchange": ExchangeSettings(),
    "store": StoreSettings(),
    "web": WebSettings(),
    "alerts": AlertSettings(),
    "log": LogSettings(),
}
DECIDED = {("pbx", "listen"), ("pbx", "master_pbx_name"), ("presence", "timezone"), ("exchange", "sync_type")}
"""what the shipped file sets"""
EVERY_KEY = [(section, key) for section, keys in SECTIONS.items() for key in keys]
IDS = [f"{section}.{key.name}" for section, key in EVERY_KEY]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_has_a_key_and_every_key_a_setting(section: str) -> None:
    fields = {field.name for field in dataclasses.fields(DATACLASSES[section])}
    assert {key.target for key in SECTIONS[section]} == fields


def test_every_key_of_a_user_has_a_place() -> None:
    places = {field.name for field in dataclasses.fields(UserSection)} | {
        field.name for field in dataclasses.fields(MappingTable)
    }
    assert {key.target for key in USER_KEYS} <= places


@pytest.mark.parametrize(("section", "key"), EVERY_KEY, ids=IDS)
def test_the_default_of_the_key_is_that_of_the_setting(section: str, key: Key) -> None:
    default = getattr(DATACLASSES[section], key.target)
    if key.default:
        assert key.kind.read(key.default) == default
    elif (section, key.name) != ("presence", "timezone"):
        assert not default


class Shown(NamedTuple):
    """A key as the shipped file shows it."""

    section: str
    name: str
    value: str
    comment: str
    commented_out: bool


def shipped_lines() -> Iterator[Shown]:
    """Every key of the shipped file, commented out or not, with the comment above it."""
    section, comment = "", ""
    for line in SHIPPED.read_text("utf-8").splitlines():
        if header := re.fullmatch(r"#?\[(\w+)( .*)?\]", line):
            section = header[1]
        elif entry := re.fullmatch(r"(#?)([a-z_]+) =(?: (.*))?", line):
            yield Shown(section, entry[2], entry[3] or "", comment, bool(entry[1]))
        elif line.startswith("# "):
            comment = comment + line[1:] if comment else line[1:]
        elif not line:
            comment = ""


@pytest.mark.parametrize(("section", "key"), EVERY_KEY, ids=IDS)
def test_the_shipped_file_shows_the_key_with_its_default_and_its_other_name(section: str, key: Key) -> None:
    (shown,) = [shown for shown in shipped_lines() if (shown.section, shown.name) == (section, key.name)]
    assert shown.commented_out is ((section, key.name) not in DECIDED)
    if shown.commented_out:
        assert shown.value == key.default
    assert shown.comment
    assert f'"{key.known_as}"' in shown.comment or not key.known_as


def test_the_shipped_file_shows_no_other_keys() -> None:
    known = {(section, key.name) for section, key in EVERY_KEY} | {("user", key.name) for key in USER_KEYS}
    assert {(shown.section, shown.name) for shown in shipped_lines()} <= known


def test_the_shipped_file_is_valid() -> None:
    settings = load(SHIPPED)
    assert settings.notices == ()
    assert settings.pbx.master_pbx_name


def test_uncommenting_everything_changes_nothing_but_the_users() -> None:
    text = SHIPPED.read_text("utf-8")
    everything = re.sub(r"(?m)^#(?=[a-z\[])", "", text)
    assert everything != text
    uncommented = read(everything, Machine())
    assert len(uncommented.users) == 1
    assert dataclasses.replace(uncommented, users=()) == read(text, Machine())


def test_other_ini_readers_can_read_the_shipped_file() -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(re.sub(r"(?m)^#(?=[a-z\[])", "", SHIPPED.read_text("utf-8")))
    assert parser.get("presence", "timezone") == "Europe/Berlin"
