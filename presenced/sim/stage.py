"""A whole simulated Exchange on loopback, with TLS, sign-in and autodiscover: one object to open and close.

Demo and end-to-end tests stand on it, so that both run the protocols a real server would ask for.
"""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme

from presenced.core.ports import Clock
from presenced.sim.exchange.accounts import Accounts, Login
from presenced.sim.exchange.autodiscover.directory import Directory
from presenced.sim.exchange.autodiscover.service import Autodiscover
from presenced.sim.exchange.faults import ExchangeFaults
from presenced.sim.exchange.organisation import Organisation
from presenced.sim.exchange.ports import Account
from presenced.sim.exchange.schema import SchemaCheck
from presenced.sim.exchange.server import SimulatedExchange
from presenced.sim.exchange.signin import CLOUD, ON_PREMISES, SignIn, TokenVerifier
from presenced.sim.exchange.streaming import Pace

HOST = "127.0.0.1"
USER = "EXAMPLE\\calendar-service"


class Certificates:
    """A certificate authority of its own, and what it made for loopback."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        certificate = authority.issue_cert(HOST, "localhost")
        self.authority = folder / "authority.pem"
        """what clients trust"""
        authority.cert_pem.write_to_path(self.authority)
        self.certificate = folder / "certificate.pem"
        self.key = folder / "key.pem"
        certificate.private_key_pem.write_to_path(self.key)
        with self.certificate.open("wb") as chain:
            for pem in certificate.cert_chain_pems:
                chain.write(pem.bytes())
        self.der = ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())
        """the server certificate itself, for channel binding"""

    def for_server(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def for_client(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authority)


class Stage:
    """An organisation's Exchange, signed in to by NTLM or Basic as `USER` with `password`.

    With `tokens` it is Exchange Online: it takes access tokens and nothing else, autodiscover included (but
    for the JSON dialect, which asks nobody).
    """

    def __init__(
        self,
        organisation: Organisation,
        clock: Clock,
        folder: Path,
        *,
        password: str,
        pace: Pace | None = None,
        schema: SchemaCheck | None = None,
        tokens: TokenVerifier | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        self.certificates = certificates or Certificates(folder)
        domain, _, name = USER.partition("\\")
        self.login = Login(name, password, Account(USER, impersonates=True), domain=domain)
        self.signin = SignIn(
            Accounts(self.login),
            offers=ON_PREMISES if tokens is None else CLOUD,
            certificate=self.certificates.der,
            tokens=tokens,
        )
        self.faults = ExchangeFaults()
        self.exchange = SimulatedExchange(
            organisation,
            clock=clock,
            faults=self.faults,
            authenticator=self.signin,
            pace=pace,
            schema=schema,
        )
        self.directory = Directory(organisation)
        self.autodiscover = Autodiscover(self.directory, self.signin, clock)
        self.exchange.add_routes(self.autodiscover.routes())

    async def open(self, port: int = 0) -> None:
        """Listen; port 0 takes any free one."""
        await self.exchange.start(HOST, port, self.certificates.for_server())

    async def close(self) -> None:
        """Stop listening; opened again it has forgotten all subscriptions, as after a restart."""
        await self.exchange.stop()
