"""An appointment's title as it may stand in a note (presence.md section 4).

Clients take every word that begins with `#` for a tag (section 6), so a title is made tag-proof: it
looks the same to a person and holds no such word.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import regex

_CONTROL = regex.compile(r"[\p{Cc}--[\t\n\v\f\r\x85]]|\p{Cs}", regex.V1)
_SPACE = regex.compile(r"[\p{Z}\t\n\v\f\r\x85]+", regex.V1)
_GRAPHEME = regex.compile(r"\X")
_NO_BREAK_SPACE = "\u00a0"
_ELLIPSIS = "…"


def clean(subject: str) -> str:
    """Control characters gone, white space of every kind run together to single spaces, ends stripped.

    Lone surrogates go as well: they have no UTF-8 form, and the wire needs one.
    """
    if subject.isascii() and subject.isprintable() and "  " not in subject:
        return subject.strip(" ")
    return _cleaned(subject)


@lru_cache(maxsize=2048)
def _cleaned(subject: str) -> str:
    return str(_SPACE.sub(" ", _CONTROL.sub("", subject))).strip(" ")


@lru_cache(maxsize=2048)
def shown_title(cleaned: str, limit: int) -> str:
    """The cleaned title, tag-proof and at most `limit` code points long; "" if nothing in it is visible."""
    if all(unicodedata.category(sign)[0] in "CZ" for sign in cleaned):
        return ""
    return _cut(tag_proof(cleaned), limit)


def tag_proof(title: str) -> str:
    """The title without a word that a client would take for a tag."""
    if "#" not in title:
        return title
    proof = title.replace(" #", _NO_BREAK_SPACE + "#")
    return _NO_BREAK_SPACE + proof if proof.startswith("#") else proof


def _cut(title: str, limit: int) -> str:
    """At most `limit` code points, ended by "…" where something was cut, on a grapheme border."""
    if len(title) <= limit:
        return title
    end = 0
    for grapheme in _GRAPHEME.finditer(title):
        if grapheme.end() > limit - len(_ELLIPSIS):
            break
        end = grapheme.end()
    return title[:end].rstrip() + _ELLIPSIS
