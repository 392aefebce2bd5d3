"""Who stands in for the world: what a composition may say, and no key of the ini file.

Tests and the demo put simulators where Microsoft's clouds would be. An ini file must not be able to: a
line there would send the app's credential to whoever wrote it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The real world, unless something is put in its place."""

    authority_host: str = ""
    """host:port that is asked for tokens, over TLS, in place of the cloud's own"""

    graph_root: str = ""
    """URL of Graph with its version, in place of the cloud's own"""


REAL_WORLD = Surroundings()
