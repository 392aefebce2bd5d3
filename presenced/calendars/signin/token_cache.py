"""The sign-in of an account, encrypted in the store: msal's cache with its refresh token.

The refresh token opens every calendar the account can see, for months. So it lies there only under the
key of the installation (config/secrets.py), which is not in the store: a copied database is worth nothing.
`presenced signin` writes it, the daemon reads it and writes back what refreshing changed.
"""

from __future__ import annotations

from collections.abc import Mapping

from presenced.calendars.signin.problems import SignInProblem
from presenced.config.problems import Unfit
from presenced.config.secrets import read_key, seal, unseal
from presenced.config.settings import Secret
from presenced.core.ports import Store, StoreProblem

VALUE = "sign-in"
"""its name in the store"""


class TokenCache:
    """The one stored sign-in. `environ` leads to the key."""

    def __init__(self, store: Store, environ: Mapping[str, str]) -> None:
        self._store = store
        self._environ = environ
        self._seen: bytes | None = None
        """as it lay in the store when last read or written here"""

    async def fetch(self) -> Secret | None:
        """What was kept, None where nobody has signed in. Raises SignInProblem."""
        self._seen = await self._stored()
        if self._seen is None:
            return None
        try:
            return Secret(unseal(self._seen.decode("ascii", "replace"), self._key()))
        except Unfit:
            raise SignInProblem(
                "the stored sign-in was encrypted with another key",
                remedy="bring that key back, or run presenced signin",
                lasting=True,
            ) from None

    async def keep(self, memory: Secret) -> None:
        """Keep this in place of what was there. Raises SignInProblem."""
        sealed = seal(memory.reveal(), self._key()).encode("ascii")
        try:
            await self._store.keep_value(VALUE, sealed)
        except StoreProblem as problem:
            raise SignInProblem(problem.reason, remedy=problem.remedy) from problem
        self._seen = sealed

    async def is_changed(self) -> bool:
        """Somebody else wrote it since (`presenced signin`). Raises SignInProblem."""
        return await self._stored() != self._seen

    async def _stored(self) -> bytes | None:
        try:
            return await self._store.fetch_value(VALUE)
        except StoreProblem as problem:
            raise SignInProblem(problem.reason, remedy=problem.remedy) from problem

    def _key(self) -> bytes:
        try:
            return read_key(self._environ)
        except Unfit as unfit:
            raise SignInProblem(
                f"a sign-in can't be kept or read without a key: {unfit.wrong}",
                remedy=unfit.meant,
                lasting=True,
            ) from None
