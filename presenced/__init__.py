"""presenced: an open presence calendar daemon.

It stands between a PBX and Exchange: it replicates the PBX's users, follows their calendars and
writes each user's calendar presence back. docs/architecture.md shows the rooms of this package.
"""

__version__ = "0.1.0"
