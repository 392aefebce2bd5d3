"""Microsoft's schemas, where somebody has put them: never part of this project."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest
from lxml import etree

from presenced.calendars.ews.envelope import Element

HERE = Path(__file__).resolve().parents[3]


def schema_folder() -> Path:
    named = os.environ.get("PRESENCED_EWS_SCHEMA")
    return Path(named) if named else HERE.parent / "shared" / "ews-schema"


@cache
def _schema() -> Element:
    return etree.XMLSchema(etree.parse(schema_folder() / "messages.xsd"))


def assert_valid(request: bytes) -> None:
    """Validate the body's child and each header of a request by itself."""
    if not (schema_folder() / "messages.xsd").exists():
        pytest.skip("no EWS schema: set PRESENCED_EWS_SCHEMA or put it in ../shared/ews-schema")
    root = etree.fromstring(request)
    for part in root:
        for element in part:
            _schema().assertValid(etree.fromstring(etree.tostring(element)))
