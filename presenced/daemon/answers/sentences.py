"""The reasons behind a presence, said in sentences: for people, beside the words that programs rely on."""

from __future__ import annotations

from presenced.core.decision import Rule
from presenced.core.mapping import Ignored

RULES: dict[Rule, str] = {
    Rule.NONE: "no appointment that counts is running",
    Rule.ONLY: "it is the only one running that counts",
    Rule.PRIORITY: "its title has a priority word, and those beat all others",
    Rule.LATEST_START: "of those running it began last",
    Rule.TIMED_BEFORE_ALL_DAY: "they begin together, and a timed one goes before an all-day one",
    Rule.STRONGER: "they begin together, and the stronger presence wins (dnd, away, busy, available)",
    Rule.EARLIER_END: "they begin together with the same presence, and the one that ends earlier wins",
    Rule.ORDER: "they are alike in all that counts, so the order of their titles and ids decides",
}
"""why the current appointment was set before the next best (presence.md section 3)"""

BEATEN: dict[Rule, str] = {
    Rule.PRIORITY: "the current one has a priority word in its title",
    Rule.LATEST_START: "the current one began later",
    Rule.TIMED_BEFORE_ALL_DAY: "the current one begins with it and is not all-day",
    Rule.STRONGER: "the current one begins with it and has the stronger presence",
    Rule.EARLIER_END: "the current one begins with it and ends earlier",
    Rule.ORDER: "the current one is alike and comes first by title and id",
}
"""why a running appointment that counts is not the current one"""

IGNORED: dict[Ignored, str] = {
    Ignored.FREE: "it is shown as free, and free ones never count",
    Ignored.CANCELLED: "it is cancelled",
    Ignored.DECLINED: "it was declined",
    Ignored.EMPTY: "it ends when it begins, or before",
}
"""why an appointment does not count; the other words need times or settings to be said"""

CAUSES: dict[str, str] = {
    "change": "the calendar changed",
    "deadline": "an appointment began or ended, or a day began",
    "start": "it was read for the first time, or the daemon started",
    "midnight": "the calendar was read for the new day",
    "reload": "the settings changed",
    "reconnect": "the PBX or Exchange was connected again",
    "doubt": "the calendar was read because nothing had been heard of it for a while",
    "retry": "a read was tried again",
    "asked": "somebody asked for it on the status page",
    "pbx-row": "the user's row on the PBX changed",
    "cleared": "the user has no calendar (any more)",
}
"""what made a decision necessary; a word not listed says enough itself"""
