"""Discovery: from the addresses a PBX knows to the mailboxes Exchange has.

finder asks in rounds, servers knows which server answers for a domain, lookup asks it about many,
asking puts one question; wire, names and order are the pure part: the messages and the rules.
"""

from presenced.calendars.discovery.finder import Finder

__all__ = ["Finder"]
