"""Who plays in the demo: made-up people with everything an office has, or the owners of calendar files.

A made-up office of some size also has what admins look for on the status page: two mailboxes in trouble,
one person who hides his titles and one who takes no part.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from presenced.cli.endings import Failed
from presenced.sim.exchange.faults import ExchangeFaults, Trouble
from presenced.sim.exchange.organisation import Organisation, SimulatedMailbox
from presenced.sim.icsfolder import read_folder
from presenced.sim.office import open_office
from presenced.sim.pbx import SimulatedUser
from presenced.sim.people import people

DOMAIN = "example.com"
ZONE = "Europe/Berlin"
_ENOUGH = 10
"""mailboxes from which on some may be in trouble"""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part: rows of the PBX and mailboxes of the Exchange."""

    users: tuple[SimulatedUser, ...]
    organisation: Organisation
    by_address: dict[str, str]
    """mailbox address -> guid"""
    denied: str = ""
    """the mailbox that the service account may not read"""
    away: str = ""
    """the mailbox whose database is down"""
    hiding: str = ""
    """whose titles are nobody's business"""
    absent: str = ""
    """who takes no part"""

    @property
    def wishes(self) -> str:
        """Their own sections of the ini file."""
        hiding = f"\n[user {self.hiding}]\nsubject = hide\n" if self.hiding else ""
        absent = f"\n[user {self.absent}]\nsync = no\n" if self.absent else ""
        return hiding + absent

    def make_trouble(self, faults: ExchangeFaults) -> None:
        """Let the Exchange refuse what it refuses in this office."""
        if self.denied:
            faults.on(Trouble.ERROR, mailbox=self.denied, code="ErrorImpersonateUserDenied")
        if self.away:
            faults.on(Trouble.ERROR, mailbox=self.away, code="ErrorMailboxStoreUnavailable")


def cast_people(count: int) -> Cast:
    """A made-up office of so many people."""
    staff = list(people(count, domain=DOMAIN))
    users = tuple(
        SimulatedUser(
            one.guid,
            one.h323,
            cn=one.cn,
            dn=one.dn,
            e164=one.e164,
            emails=one.emails,
            h323_email=one.h323_email,
        )
        for one in staff
    )
    by_address = {one.mailbox: one.guid for one in staff if one.mailbox}
    organisation = open_office(staff)
    if len(by_address) < _ENOUGH:
        return Cast(users, organisation, by_address)
    hiding, *_, absent, denied, away = by_address
    return Cast(users, organisation, by_address, denied, away, hiding, absent)


def cast_owners(folder: Path) -> Cast:
    """A user for every calendar file; files that can't be read are named and left out."""
    found = read_folder(folder, domain=DOMAIN, zone=ZONE)
    for problem in found.problems:
        click.echo(problem, err=True)
    if not found.calendars:
        raise Failed(f"{folder}: no calendar file that can be read; put NAME.ics files there")
    organisation = Organisation()
    for address, calendar in found.calendars.items():
        organisation.add(SimulatedMailbox(address, zone=ZONE, calendar=calendar))
    users = tuple(_user_of(address, number) for number, address in enumerate(found.calendars))
    return Cast(
        users,
        organisation,
        {address: user.guid for address, user in zip(found.calendars, users, strict=True)},
    )


def _user_of(address: str, number: int) -> SimulatedUser:
    name = address.partition("@")[0]
    return SimulatedUser(f"{number:032x}", name, cn=name.replace(".", " ").title(), emails=(address,))
