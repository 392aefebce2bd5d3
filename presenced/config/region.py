"""Languages and time zones an admin may name: those Babel and the zone database know.

One file for both, so that the rest of the config room needs neither library.
"""

from __future__ import annotations

import re

import pytz
from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.localedata import locale_identifiers

from presenced.config.problems import Unfit, nearest, shown

_LOCALE_ID = re.compile(r"[A-Za-z]{2,3}(?:_[A-Za-z0-9]{2,8}){0,3}")


def parse_language(text: str) -> str:
    """A locale id as Babel spells it (`en`, `en_GB`, `de_AT`); raises Unfit."""
    if locale := _known_locale(text):
        return locale
    hint = (
        f"did you mean {near}?" if (near := _near_language(text)) else "a locale id such as en, en_GB, de_AT"
    )
    raise Unfit(f"no language is called {shown(text)}", hint)


def parse_zone(text: str) -> str:
    """An IANA zone name, spelt exactly; raises Unfit."""
    if text in pytz.all_timezones_set:
        return text
    hint = f"did you mean {near}?" if (near := _near_zone(text)) else "an IANA name such as Europe/Berlin"
    raise Unfit(f"no time zone is called {shown(text)}", hint)


def _known_locale(text: str) -> str:
    if not _LOCALE_ID.fullmatch(text):
        return ""
    try:
        return str(Locale.parse(text))
    except (UnknownLocaleError, ValueError):
        return ""


def _near_language(text: str) -> str:
    usual = text.replace("-", "_")
    by_name = {name.casefold(): locale for locale, name in Locale("en").languages.items()}
    return (
        _known_locale(usual)
        or _known_locale(by_name.get(text.casefold(), ""))
        or _known_locale(usual.partition("_")[0])
        or nearest(usual, locale_identifiers(), likeness=0.75)
    )


def _near_zone(text: str) -> str:
    windows = get_global("windows_zone_mapping")
    if text in windows:
        return str(windows[text])
    wanted = text.strip().replace(" ", "_").casefold()
    zones = pytz.all_timezones
    same = [zone for zone in zones if zone.casefold() == wanted]
    city = [zone for zone in zones if zone.casefold().rpartition("/")[2] == wanted.rpartition("/")[2]]
    return next(iter(same + city), "") or nearest(text, zones, likeness=0.75)
