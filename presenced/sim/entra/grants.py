"""The token endpoint without its HTTP: a form comes in, the members of the answer go out, or a refusal.

Source: RFC 6749, RFC 8628, and the pages "OAuth 2.0 client credentials flow", "OAuth 2.0 device authorization
grant flow" and "Refresh the access token" of the Microsoft identity platform.
"""

from __future__ import annotations

import base64
import json
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from presenced.core.ports import Clock
from presenced.sim.entra import asking
from presenced.sim.entra.assertions import JWT_BEARER, Assertions
from presenced.sim.entra.devices import PAGE, Devices
from presenced.sim.entra.faults import EntraFaults
from presenced.sim.entra.refusals import Refused
from presenced.sim.entra.sessions import Session, Sessions
from presenced.sim.entra.tenants import SHARED, Application, Tenant, User
from presenced.sim.entra.tokens import Bearer, Tokens

Form = Mapping[str, str]
CLIENT_CREDENTIALS = "client_credentials"
REFRESH_TOKEN = "refresh_token"  # noqa: S105 (the name of a grant)
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(frozen=True, slots=True)
class Seen:
    """One token request, for tests to look at."""

    grant: str
    tenant: str
    """as the URL named it"""
    client_id: str
    scope: str
    claims: str
    refusal: int
    """number of the refusal, 0 where a token was given"""


class Grants:
    """Gives tokens to those who prove themselves."""

    def __init__(self, tenants: Sequence[Tenant], clock: Clock, faults: EntraFaults) -> None:
        self.tenants = list(tenants)
        self.tokens = Tokens(clock, faults)
        self.assertions = Assertions(faults)
        self.devices = Devices()
        self.sessions = Sessions()
        self.granted: Counter[str] = Counter()
        """tokens given, by grant"""
        self.refused: Counter[int] = Counter()
        """refusals, by AADSTS number"""
        self.seen: deque[Seen] = deque(maxlen=1000)
        self._faults = faults
        self._grants = {
            CLIENT_CREDENTIALS: self._for_application,
            DEVICE_CODE: self._for_device,
            REFRESH_TOKEN: self._for_session,
        }

    def find_tenant(self, name: str) -> Tenant | None:
        """The tenant called so; None where the name stands for any; raises Refused for an unknown one."""
        if name.casefold() in SHARED:
            return None
        for tenant in self.tenants:
            if tenant.goes_by(name):
                return tenant
        raise Refused(90002, name)

    def find_user(self, upn: str) -> tuple[Tenant, User]:
        """The user of this name and where he is at home; KeyError where there is none."""
        for tenant in self.tenants:
            if tenant.goes_by(upn.rpartition("@")[2]):
                return tenant, tenant.user(upn)
        raise KeyError(upn)

    def answer(self, name: str, form: Form, origin: str) -> dict[str, object]:
        """A token for this request at the endpoint of the tenant called `name`; raises Refused."""
        grant = form.get("grant_type", "")
        number = 0
        try:
            answer = self._answer(name, grant, form, origin)
        except Refused as refusal:
            number = refusal.code
            self.refused[number] += 1
            raise
        else:
            self.granted[grant] += 1
            return answer
        finally:
            client_id, scope, claims = (form.get(key, "") for key in ("client_id", "scope", "claims"))
            self.seen.append(Seen(grant, name, client_id, scope, claims, number))

    def _answer(self, name: str, grant: str, form: Form, origin: str) -> dict[str, object]:
        tenant = self.find_tenant(name)
        if "resource" in form:
            raise Refused(901002)
        for needed in ("grant_type", "client_id"):
            _need(form, needed)
        if grant not in self._grants:
            raise Refused(70003, grant)
        return self._grants[grant](name, tenant, form, origin)

    def begin_device(self, name: str, form: Form) -> dict[str, object]:
        """The codes for a device that wants to sign somebody in; raises Refused."""
        tenant = self.find_tenant(name)
        client_id, scope = _need(form, "client_id"), _need(form, "scope")
        home, application = self._application(tenant, client_id)
        asking.split_scopes(scope, home)
        now = self.tokens.now
        device = self.devices.begin(application.client_id, scope, now)
        return {
            "user_code": device.user_code,
            "device_code": device.device_code,
            "verification_uri": PAGE,
            "expires_in": int((device.ends - now).total_seconds()),
            "interval": int(device.interval.total_seconds()),
            "message": device.message,
        }

    def _application(self, tenant: Tenant | None, client_id: str) -> tuple[Tenant, Application]:
        if tenant is not None:
            return tenant, tenant.application(client_id)
        for home in self.tenants:
            for application in home.applications:
                if application.client_id == client_id:
                    if not application.multi_tenant:
                        raise Refused(50194, client_id, application.name)
                    return home, home.application(client_id)
        raise Refused(700016, client_id, "common")

    def _prove(self, name: str, tenant: Tenant, application: Application, form: Form, origin: str) -> str:
        """How the application proves itself: "" where it doesn't try; raises Refused for a false proof."""
        secret, assertion = form.get("client_secret"), form.get("client_assertion")
        now = self.tokens.now
        if secret and assertion:
            raise Refused(9002313, "There are two proofs of the client.")
        if secret:
            application.check_secret(secret, now)
            return "secret"
        if not assertion:
            return ""
        kind = _need(form, "client_assertion_type")
        if kind != JWT_BEARER:
            raise Refused(9002313, f"The client_assertion_type {kind} is not known.")
        places = {name, tenant.tenant_id, *tenant.domains}
        audiences = frozenset(
            f"{origin}/{place}{end}" for place in places for end in ("/oauth2/v2.0/token", "/v2.0")
        )
        return self.assertions.check(application, assertion, audiences, now)

    def _for_application(
        self, name: str, tenant: Tenant | None, form: Form, origin: str
    ) -> dict[str, object]:
        if tenant is None:
            raise Refused(50059)
        application = tenant.application(form["client_id"])
        scope = _need(form, "scope")
        proof = self._prove(name, tenant, application, form, origin)
        if not proof:
            raise Refused(7000218)
        asked = asking.split_scopes(scope, tenant)
        names = asking.granted_roles(asked, application, scope)
        claims = asking.read_claims(form.get("claims", ""))
        token, life = self.tokens.make(Bearer(tenant, application, None, proof), asked, names, claims)
        seconds = int(life.total_seconds())
        return {
            "token_type": "Bearer",
            "expires_in": seconds,
            "ext_expires_in": seconds,
            **_early(seconds),
            "access_token": token,
        }

    def _for_device(self, name: str, tenant: Tenant | None, form: Form, origin: str) -> dict[str, object]:
        code = _need(form, "device_code")
        home, application = self._application(tenant, form["client_id"])
        proof = self._prove_for_user(name, home, application, form, origin)
        device = self.devices.poll(code, application.client_id, self.tokens.now)
        assert device.user is not None
        assert device.tenant is not None
        if tenant is not None and device.tenant is not tenant:
            raise Refused(70018)
        if device.user.disabled:
            raise Refused(50057)
        session = Session(application.client_id, device.tenant, device.user, self.tokens.now)
        bearer = Bearer(device.tenant, application, device.user, proof)
        return self._for_user(bearer, session, {**form, "scope": device.scope}, origin)

    def _for_session(self, name: str, tenant: Tenant | None, form: Form, origin: str) -> dict[str, object]:
        token, scope = _need(form, "refresh_token"), _need(form, "scope")
        home, application = self._application(tenant, form["client_id"])
        proof = self._prove_for_user(name, home, application, form, origin)
        session = self.sessions.resume(
            token,
            application.client_id,
            self.tokens.now,
            single_use=self._faults.single_use_refresh_tokens,
        )
        if tenant is not None and session.tenant is not tenant:
            raise Refused(70000, "refresh_token")
        bearer = Bearer(session.tenant, application, session.user, proof)
        return self._for_user(bearer, session, {**form, "scope": f"{scope} offline_access"}, origin)

    def _prove_for_user(
        self, name: str, home: Tenant, application: Application, form: Form, origin: str
    ) -> str:
        if application.public:
            if "client_secret" in form or "client_assertion" in form:
                raise Refused(700025)
            return ""
        proof = self._prove(name, home, application, form, origin)
        if not proof:
            raise Refused(7000218)
        return proof

    def _for_user(self, bearer: Bearer, session: Session, form: Form, origin: str) -> dict[str, object]:
        user, tenant = session.user, bearer.tenant
        asked = asking.split_scopes(form["scope"], tenant)
        names = asking.granted_scopes(asked, bearer.application)
        claims = asking.read_claims(form.get("claims", ""))
        token, life = self.tokens.make(bearer, asked, names, claims)
        seconds = int(life.total_seconds())
        answer: dict[str, object] = {
            "token_type": "Bearer",
            "scope": " ".join(f"{asked.audience}/{name}" for name in sorted(names)),
            "expires_in": seconds,
            "ext_expires_in": seconds,
            **_early(seconds),
            "access_token": token,
        }
        if "offline_access" in asked.identity:
            answer["refresh_token"] = self.sessions.issue(session, self.tokens.now)
        if "openid" in asked.identity:
            issuer = f"{origin}/{tenant.tenant_id}/v2.0"
            answer["id_token"] = self.tokens.make_identity(bearer, user, issuer)
        if form.get("client_info") == "1":
            told = json.dumps({"uid": user.object_id, "utid": tenant.tenant_id})
            answer["client_info"] = base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")
        return answer


def _early(seconds: int) -> dict[str, object]:
    """Tokens of two hours and more are to be renewed at half time."""
    return {"refresh_in": seconds // 2} if seconds >= 7200 else {}


def _need(form: Form, name: str) -> str:
    if not form.get(name):
        raise Refused(900144, name)
    return form[name]
