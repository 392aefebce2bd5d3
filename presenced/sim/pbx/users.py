"""Users of the simulated PBX and their rows in the table PbxTableUsers (pbx-link.md section 3)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

COLUMNS = ("guid", "h323", "cn", "dn", "e164", "node", "loc", "hide", "h323-email", "emails")
"""what a presence daemon asks for, no more and no less"""

BIG_ROW = 60 * 1024
"""bytes of the row that `PbxFaults.big_row` makes"""


@dataclass(frozen=True, slots=True)
class SimulatedUser:
    """One user object."""

    guid: str
    h323: str
    cn: str = ""
    dn: str = ""
    emails: tuple[str, ...] = ()
    """each becomes one `{"email": ...}`; may hold several separated by `;`, with or without "@" """
    h323_email: bool = False
    e164: str = ""
    node: str = ""
    loc: str = ""
    hide: bool = False
    pseudo: str = ""
    """type of a pseudo object; "" is a person"""
    extra: tuple[tuple[str, object], ...] = ()
    """columns sent besides those asked for, as recorded rows have them; also overrides"""


def row(user: SimulatedUser, columns: Collection[str]) -> dict[str, object]:
    """The row as a PBX sends it: sorted, absent where empty."""
    values: dict[str, object] = {
        "guid": user.guid,
        "h323": user.h323,
        "cn": user.cn,
        "dn": user.dn,
        "e164": user.e164,
        "node": user.node,
        "loc": user.loc,
        "hide": user.hide,
        "h323-email": user.h323_email,
        "emails": [{"email": email} for email in user.emails],
    }
    asked = {name: value for name, value in values.items() if name in columns and value not in ("", [])}
    return dict(sorted((asked | dict(user.extra)).items()))


def awkward(user: SimulatedUser, place: int, domain: str) -> SimulatedUser:
    """The same user with addresses as they turn up in the wild: four shapes, one after the other."""
    shapes = (
        replace(user, emails=(), h323_email=False),
        replace(user, emails=(f"{user.h323}@{domain}; ;second.{user.h323}@{domain};",)),
        replace(user, emails=(f"bare.{user.h323}",)),
        replace(user, emails=(), h323_email=True),
    )
    return shapes[place % len(shapes)]


def swollen(user: SimulatedUser) -> SimulatedUser:
    """The same user with a row of about 60 KiB."""
    groups = [{"name": f"group {number:04}"} for number in range(BIG_ROW // len('{"name":"group 0000"},'))]
    return replace(user, extra=(*user.extra, ("grps", groups)))
