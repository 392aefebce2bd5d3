"""Somebody else's identity provider, whose tokens an application may show instead of a secret.

A Kubernetes cluster or a build service signs such tokens and writes them to a file; Entra takes them where a
federated credential names issuer, subject and audience. Source: "Workload identity federation".
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key

from presenced.sim.entra import jwts
from presenced.sim.entra.tenants import TOKEN_EXCHANGE


class WorkloadIssuer:
    """Makes tokens for workloads; `url` is the issuer in them."""

    def __init__(self, url: str) -> None:
        self.url = url

    @cached_property
    def _key(self) -> RSAPrivateKey:
        return generate_private_key(65537, 2048)

    @property
    def public_key(self) -> RSAPublicKey:
        """What the issuer publishes."""
        return self._key.public_key()

    def issue(
        self,
        subject: str,
        now: datetime,
        *,
        audience: str = TOKEN_EXCHANGE,
        life: timedelta = timedelta(hours=1),
    ) -> str:
        """A token that says its bearer is `subject`."""
        begins = int(now.timestamp())
        claims = {
            "iss": self.url,
            "sub": subject,
            "aud": [audience],
            "iat": begins,
            "nbf": begins,
            "exp": begins + int(life.total_seconds()),
            "jti": str(uuid.uuid4()),
        }
        return jwts.sign(claims, self._key, headers={"kid": "workload-1"})
