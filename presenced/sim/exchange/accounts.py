"""The accounts of the simulated domain: who may sign in, under which spellings, with which password."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from presenced.sim.exchange.ports import Account


@dataclass(frozen=True, slots=True)
class Login:
    """One account with its password; `account` is what the endpoint is told, however the name was spelled."""

    user: str
    """sAMAccountName"""
    password: str = field(repr=False)
    account: Account
    domain: str = ""
    """NetBIOS name, as in `EXAMPLE\\svc`"""
    upn: str = ""
    """user principal name, as in `svc@example.com`"""

    @property
    def spellings(self) -> Iterator[str]:
        """Every name a domain controller would take for this account."""
        yield self.user
        if self.domain:
            yield f"{self.domain}\\{self.user}"
        if self.upn:
            yield self.upn
            yield f"{self.upn.rpartition('@')[2]}\\{self.user}"


class Accounts:
    """Accounts by every spelling of their names, without regard to case."""

    def __init__(self, *logins: Login) -> None:
        self._by_name: dict[str, Login] = {}
        for login in logins:
            self.add(login)

    def add(self, login: Login) -> None:
        """Let somebody in; an account added again has a new password."""
        self._by_name.update((name.casefold(), login) for name in login.spellings)

    def remove(self, name: str) -> None:
        """Lock somebody out, named in any spelling; KeyError where there is none."""
        gone = self._by_name[name.casefold()]
        for spelling in gone.spellings:
            del self._by_name[spelling.casefold()]

    def find(self, name: str) -> Login | None:
        """The account named `DOMAIN\\user`, by UPN or by the bare user name."""
        return self._by_name.get(name.casefold())
