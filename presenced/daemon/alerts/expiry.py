"""What the calendar door signs in with, as a credential that expires."""

from __future__ import annotations

from presenced.core.ports import CalendarDoor
from presenced.daemon.alerts.gathering import Credential


def expiring(door: CalendarDoor | None) -> tuple[Credential, ...] | None:
    """The app's certificate; nothing where there is none, None where it has not been read yet.

    When a client secret expires Entra alone knows: no date of it gets to an app.
    """
    if door is None:
        return None
    sign_in = door.status().sign_in
    if sign_in is None:
        return ()
    if not sign_in.kind:
        return None
    if sign_in.credential_expires_at is None:
        return ()
    return (
        Credential(
            "exchange-app",
            "the certificate the app signs in to Exchange with",
            sign_in.credential_expires_at,
            "make a new one, upload it under Certificates & secrets of the app's registration in Entra, and "
            "put it into the file named by certificate in [exchange]; no restart is needed",
        ),
    )
