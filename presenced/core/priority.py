"""Prioritized appointments: which titles win over everything else (presence.md section 3, rule 1)."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import regex

from presenced.core.title import clean

_NOT_BEHIND = r"(?<![\p{L}\p{M}\p{Nd}_])"
_NOT_BEFORE = r"(?![\p{L}\p{M}\p{Nd}_])"


@dataclass(frozen=True, slots=True)
class PriorityWords:
    """The two comma-separated lists of the settings; a phrase of several words matches as a phrase."""

    words: tuple[str, ...] = ()
    exclude_words: tuple[str, ...] = ()

    def prioritize(self, subject: str) -> bool:
        """Whether a full subject (private ones included) holds a priority word and no excluded one."""
        if not self.words:
            return False
        text = _folded(subject)
        return _holds(self.words, text) and not _holds(self.exclude_words, text)


def _folded(text: str) -> str:
    """Both sides of the comparison: cleaned, casefolded, NFC (casefolding can undo NFC, so once more)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", clean(text)).casefold())


def _holds(words: tuple[str, ...], text: str) -> bool:
    return any(word in text and pattern.search(text) is not None for word, pattern in _patterns(words))


@lru_cache(maxsize=256)
def _patterns(words: tuple[str, ...]) -> tuple[tuple[str, regex.Pattern[str]], ...]:
    """Every word as it is looked for first, cheaply, and the pattern for it standing alone."""
    return tuple(
        (word, regex.compile(_NOT_BEHIND + regex.escape(word) + _NOT_BEFORE))
        for word in map(_folded, words)
        if word
    )
