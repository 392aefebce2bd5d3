"""What the simulated Exchange and the simulated Graph make of tokens of the simulated identity provider.

They know nothing of it; this is the trust between them. As at Exchange Online: an application with
`full_access_as_app` acts for every mailbox; a user's token needs `EWS.AccessAsUser.All`, and whether he may
act for others is the organisation's business; a token for another resource or tenant is refused.
"""

from __future__ import annotations

from presenced.sim.entra.grants import Grants
from presenced.sim.entra.tenants import EXCHANGE, GRAPH
from presenced.sim.entra.tokens import TokenRejected
from presenced.sim.exchange.ports import Account
from presenced.sim.exchange.signin import TokenRefused
from presenced.sim.graph.ports import Caller
from presenced.sim.graph.ports import TokenRefused as RefusedAtGraph

APPLICATION_ROLE = "full_access_as_app"
USER_SCOPE = "EWS.AccessAsUser.All"
_TOO_LITTLE = "The token contains not enough scope to make this call."


class ExchangeTokens:
    """The port `TokenVerifier` of an organisation whose tenant is `tenant_id`."""

    def __init__(self, grants: Grants, tenant_id: str) -> None:
        self._grants = grants
        self._tenant_id = tenant_id

    async def verify(self, token: str) -> Account:
        """For whom the token was made; raises TokenRefused."""
        try:
            granted = self._grants.tokens.inspect(token, EXCHANGE)
        except TokenRejected as rejected:
            raise TokenRefused(str(rejected)) from None
        if granted.tenant_id != self._tenant_id:
            raise TokenRefused("The tenant of the token is another one.")
        if not granted.upn:
            if APPLICATION_ROLE not in granted.roles:
                raise TokenRefused(_TOO_LITTLE)
            return Account(granted.client_id, impersonates=True)
        if USER_SCOPE not in granted.scopes:
            raise TokenRefused(_TOO_LITTLE)
        _, user = self._grants.find_user(granted.upn)
        return Account(user.upn, user.address)


class GraphTokens:
    """The port `TokenVerifier` of the simulated Graph: which permissions suffice is its own business."""

    def __init__(self, grants: Grants, tenant_id: str) -> None:
        self._grants = grants
        self._tenant_id = tenant_id

    async def identify(self, token: str) -> Caller:
        """For whom the token was made; raises the TokenRefused of the Graph."""
        try:
            granted = self._grants.tokens.inspect(token, GRAPH)
        except TokenRejected as rejected:
            raise RefusedAtGraph(str(rejected), claims=rejected.claims) from None
        if granted.tenant_id != self._tenant_id:
            raise RefusedAtGraph("The tenant of the token is another one.")
        return Caller(granted.client_id, granted.roles | granted.scopes, granted.upn)
