"""What is trusted, and what a failed handshake is called."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from presenced.calendars.carrier import CarrierProblem
from presenced.calendars.transport import HttpCarrier
from presenced.config.settings import ExchangeSettings
from tests.calendars.site import Site, say_hello
from tests.clock import FakeClock


def serve(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return authority


async def test_a_company_authority_is_trusted_once_it_is_named(authority: trustme.CA, tmp_path: Path) -> None:
    async with Site(say_hello, tls=serve(authority.issue_cert("127.0.0.1"))) as site:
        async with HttpCarrier(ExchangeSettings(tls_ca=tmp_path / "ca.pem"), FakeClock()) as carrier:
            assert (await carrier.send("POST", site.url(), body=b"x")).body == b"hello x"
        async with HttpCarrier(ExchangeSettings(), FakeClock()) as carrier:
            with pytest.raises(CarrierProblem, match="authority this machine does not trust") as caught:
                await carrier.send("POST", site.url())
    assert (caught.value.kind, "tls_ca" in caught.value.remedy) == ("tls", True)


async def test_the_wrong_authority_in_tls_ca_is_named(authority: trustme.CA, tmp_path: Path) -> None:
    async with (
        Site(say_hello, tls=serve(trustme.CA().issue_cert("127.0.0.1"))) as site,
        HttpCarrier(ExchangeSettings(tls_ca=tmp_path / "ca.pem"), FakeClock()) as carrier,
    ):
        with pytest.raises(CarrierProblem) as caught:
            await carrier.send("POST", site.url())
    assert caught.value.kind == "tls"
    assert "was issued by an authority this machine does not trust" in str(caught.value)
    assert "CA at the end of its chain" in caught.value.remedy
    assert "tls_ca in [exchange] (a file that is named there already holds another)" in caught.value.remedy


@pytest.mark.parametrize(
    ("names", "days", "words"),
    [
        (["mail.example.com"], 0, "is for another name"),
        (["10.1.2.3"], 0, "is for another name|is not for this IP address"),
        (["localhost"], -1, "has expired"),
    ],
)
async def test_certificates_that_are_not_accepted(
    names: list[str], days: int, words: str, authority: trustme.CA, tmp_path: Path
) -> None:
    end = datetime(2020, 1, 1, tzinfo=UTC) if days else None
    certificate = authority.issue_cert(*names, not_before=datetime(2019, 1, 1, tzinfo=UTC), not_after=end)
    async with (
        Site(say_hello, tls=serve(certificate)) as site,
        HttpCarrier(ExchangeSettings(tls_ca=tmp_path / "ca.pem"), FakeClock()) as carrier,
    ):
        with pytest.raises(
            CarrierProblem, match=f"the certificate of localhost:{site.port} ({words})"
        ) as caught:
            await carrier.send("POST", site.url(host="localhost"))
    assert (caught.value.kind, bool(caught.value.remedy)) == ("tls", True)


async def test_unchecked_certificates_are_complained_about(
    authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        Site(say_hello, tls=serve(authority.issue_cert("mail.example.com"))) as site,
        HttpCarrier(ExchangeSettings(tls_verify=False), FakeClock()) as carrier,
    ):
        for _ in range(3):
            assert (await carrier.send("POST", site.url())).status == 200
    assert [record.levelname for record in caplog.records if "tls_verify = no" in record.message] == [
        "WARNING"
    ]


async def test_plain_http_where_tls_is_expected() -> None:
    async with Site(say_hello) as site, HttpCarrier(ExchangeSettings(), FakeClock()) as carrier:
        with pytest.raises(CarrierProblem, match="answered without TLS") as caught:
            await carrier.send("POST", site.url().replace("http:", "https:"))
    assert caught.value.kind == "tls"


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_a_useless_authority_file(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    carrier = HttpCarrier(ExchangeSettings(tls_ca=tmp_path / "ca.pem"), FakeClock())
    with pytest.raises(CarrierProblem, match=r"ca\.pem cannot be used"):
        await carrier.__aenter__()
