"""A renewed certificate is shown to the next PBX that dials; a broken one changes nothing."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509

from presenced.daemon.certificate import CertificateWatch
from presenced.pbx.link import PbxLink
from tests.clock import FakeClock
from tests.pbx.scripted import Door, running

CERTIFICATE, KEY = "chain.pem", "key.pem"


class Files:
    """What whoever renews certificates does."""

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        self.certificate, self.key = folder / CERTIFICATE, folder / KEY
        self._clock = clock
        self._authority = trustme.CA()

    def issue(self, days: float) -> trustme.LeafCert:
        end = self._clock.now() + timedelta(days=days)
        return self._authority.issue_cert(
            "localhost", not_before=datetime(2020, 1, 1, tzinfo=end.tzinfo), not_after=end
        )

    def write(self, days: float = 90) -> None:
        issued = self.issue(days)
        self.certificate.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
        self.key.write_bytes(issued.private_key_pem.bytes())


@dataclass
class Desk:
    """A link that listens with TLS, its certificate watched."""

    door: Door
    watch: CertificateWatch
    files: Files

    async def looks(self, number: int = 3) -> None:
        await self.door.clock.advance(timedelta(seconds=5 * number))

    async def days_shown(self) -> int:
        """The days left of the certificate in a real handshake."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        _, writer = await asyncio.open_connection("127.0.0.1", self.door.link.port, ssl=context)
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.transport.abort()
        left = x509.load_der_x509_certificate(shown).not_valid_after_utc - self.door.clock.now()
        return round(left / timedelta(days=1))


@asynccontextmanager
async def desk(folder: Path, days: float = 90) -> AsyncIterator[Desk]:
    clock = FakeClock()
    files = Files(folder, clock)
    files.write(days)
    async with running(tls_certificate=files.certificate, tls_key=files.key) as door:
        watch = CertificateWatch(lambda: door.link, door.clock)
        task = asyncio.create_task(watch.run())
        await door.clock.settle()
        yield Desk(door, watch, files)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_renewed_certificate_is_shown_and_no_link_is_cut(tmp_path: Path) -> None:
    async with desk(tmp_path) as place:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        pbx = await place.door.pbx(context)
        await pbx.link("a")
        assert await place.days_shown() == 90
        place.files.write(days=60)
        await place.looks()
        assert await place.days_shown() == 60
        await pbx.say("AppChallenge")
        assert (await pbx.hear())["mt"] == "AppChallengeResult"


async def test_a_symbolic_link_that_leads_elsewhere_is_a_change(tmp_path: Path) -> None:
    real = tmp_path / "archive"
    real.mkdir()
    async with desk(tmp_path) as place:
        Files(real, place.door.clock).write(days=60)
        for name in (CERTIFICATE, KEY):
            (tmp_path / name).unlink()
            (tmp_path / name).symlink_to(real / name)
        await place.looks()
        assert await place.days_shown() == 60


@pytest.mark.parametrize(
    "spoil",
    [
        lambda files: files.certificate.write_bytes(b"nonsense"),
        lambda files: files.certificate.write_bytes(b""),
        lambda files: files.key.write_bytes(files.issue(9).private_key_pem.bytes()),
    ],
    ids=["nonsense", "empty", "another key"],
)
async def test_a_broken_pair_leaves_the_old_one_in_force(
    spoil: object, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert callable(spoil)
    async with desk(tmp_path) as place:
        end = place.door.link.certificate_expires_at
        with caplog.at_level(logging.ERROR):
            spoil(place.files)
            await place.looks(20)
        assert await place.days_shown() == 90
        assert place.door.link.certificate_expires_at == end
        (record,) = caplog.records
        assert "the old one stays in force" in record.getMessage()
        assert str(place.files.certificate) in record.getMessage()
        assert "remedy=set tls_certificate and tls_key" in record.getMessage()
        place.files.write(days=60)
        await place.looks()
        assert await place.days_shown() == 60


async def test_two_files_written_one_after_the_other_are_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with desk(tmp_path) as place:
        issued = place.files.issue(60)
        place.files.certificate.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
        await place.looks(1)
        place.files.key.write_bytes(issued.private_key_pem.bytes())
        await place.looks(2)
        assert await place.days_shown() == 60
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_files_that_are_gone_for_a_while_change_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with desk(tmp_path) as place:
        place.files.certificate.unlink()
        await place.looks()
        assert await place.days_shown() == 90
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    ("days", "level", "words"),
    [
        (90.5, logging.INFO, "is good days_left=90"),
        (29.5, logging.WARNING, "is good days_left=29"),
        (-1.5, logging.WARNING, "HAS EXPIRED"),
    ],
)
async def test_days_left_are_told_at_start_and_daily(
    days: float,
    level: int,
    words: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("presenced.daemon.certificate.LOOK_EVERY", timedelta(hours=1))
    caplog.set_level(logging.INFO, "presenced.daemon.certificate")
    async with desk(tmp_path, days) as place:
        told = [record for record in caplog.records if "until=" in record.getMessage()]
        assert [(record.levelno, words in record.getMessage()) for record in told] == [(level, True)]
        assert (level == logging.WARNING) == ("renew it" in told[0].getMessage())
        caplog.clear()
        await place.door.clock.advance(timedelta(hours=47), turns=1)
    assert len([record for record in caplog.records if "until=" in record.getMessage()]) == 1


async def test_what_the_alerts_are_told(tmp_path: Path) -> None:
    async with desk(tmp_path) as place:
        (credential,) = place.watch.credentials()
        assert credential.expires_at == place.door.clock.now() + timedelta(days=90)
        assert str(place.files.certificate) in credential.what


async def test_a_link_not_open_yet_and_one_without_a_certificate() -> None:
    async with running() as door:
        watch = CertificateWatch(lambda: door.link, door.clock)
        assert list(watch.credentials()) == []
        task = asyncio.create_task(watch.run())
        await door.clock.advance(timedelta(minutes=1))
        assert not task.done()
        task.cancel()


def test_before_the_link_opens_the_end_is_not_known(tmp_path: Path) -> None:
    from dataclasses import replace

    from tests.pbx.scripted import SETTINGS, Listener

    settings = replace(SETTINGS, tls_certificate=tmp_path / CERTIFICATE, tls_key=tmp_path / KEY)
    link = PbxLink(settings, Listener(), FakeClock())
    (credential,) = CertificateWatch(lambda: link, FakeClock()).credentials()
    assert credential.expires_at is None
