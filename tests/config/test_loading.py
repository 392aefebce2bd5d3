"""The file on disk: readable, decodable, and what it points to is there."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from presenced.config.loading import MOST_BYTES, load
from presenced.config.problems import ConfigProblems
from tests.config.sample import SMALL


def written(folder: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path = folder / "p.ini"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def problems(path: Path, *, secrets_looked_up: bool = True) -> list[str]:
    with pytest.raises(ConfigProblems) as caught:
        load(path, secrets_looked_up=secrets_looked_up)
    assert str(caught.value).splitlines() == list(map(str, caught.value.problems))
    return [f"{problem.line}: {problem.text}" for problem in caught.value.problems]


def test_loads(tmp_path: Path) -> None:
    path = written(tmp_path, b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode())
    assert load(path).path == str(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (told,) = problems(tmp_path / "nope.ini")
    assert told == "1: the file can't be read (No such file or directory); check the path and its rights"


def test_a_folder(tmp_path: Path) -> None:
    (told,) = problems(tmp_path)
    assert told.startswith("1: the file can't be read (Is a directory)")


def test_an_endless_file(tmp_path: Path) -> None:
    (told,) = problems(written(tmp_path, b"#" * (MOST_BYTES + 1)))
    assert told == f"1: the file is too long; at most {MOST_BYTES} bytes"


def test_utf_16(tmp_path: Path) -> None:
    assert problems(written(tmp_path, SMALL.encode("utf-16"))) == ["1: the file is UTF-16; save it as UTF-8"]


def test_lines_that_are_not_utf_8_are_told_beside_other_problems(tmp_path: Path) -> None:
    text = SMALL.encode() + "priority_words = Urlaub, Büro\r\nwindow_hours = 1\r\n# ä\r\n".encode("latin-1")
    assert problems(written(tmp_path, text)) == [
        "6: this line is not UTF-8; save the file as UTF-8",
        '7: window_hours: "1" is not allowed; allowed: a whole number from 25 to 168',
        "8: this line is not UTF-8; save the file as UTF-8",
    ]


@pytest.mark.parametrize(("mode", "refused"), [(0o644, True), (0o604, True), (0o640, False), (0o600, False)])
def test_who_may_read_clear_text(tmp_path: Path, mode: int, refused: bool) -> None:
    path = written(tmp_path, SMALL + "[web]\npassword = hunter2\n", mode)
    if refused:
        (told,) = problems(path)
        assert told.startswith("7: password: a secret in clear text")
        assert f"chmod o-r {path}" in told
    else:
        assert load(path).web.password.reveal() == "hunter2"
    assert load(path, secrets_looked_up=False).web.password.reveal() == "hunter2"


def test_a_secret_file_others_can_read_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    (tmp_path / "secret").chmod(0o644)
    path = written(tmp_path, SMALL + "[web]\npassword = file:secret\n")
    settings = load(path)
    assert settings.web.password.reveal() == "hunter2"
    (notice,) = settings.notices
    assert (notice.line, notice.text) == (7, f"password: others can read {tmp_path / 'secret'}; chmod o-r it")


def test_nothing_but_the_text_is_asked_without_looking_up_secrets(tmp_path: Path) -> None:
    text = SMALL.replace(
        "[presence]", "tls_certificate = no\ntls_key = no\napp_password = env:NO\n[presence]"
    )
    path = written(tmp_path, text + "[web]\npassword = sealed:no\n")
    settings = load(path, secrets_looked_up=False)
    assert not settings.pbx.app_password
    assert settings.pbx.tls_certificate == tmp_path / "no"
    assert [told.split(":")[0] for told in problems(path)] == ["4", "5", "6", "10"]
    assert problems(written(tmp_path, SMALL + "[web]\nfrob = 1\n"), secrets_looked_up=False)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    for name in ("one", "two"):
        issued = ca.issue_cert("localhost")
        issued.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
        issued.private_key_pem.write_to_path(folder / f"{name}.key")
    (folder / "junk").write_text("junk")
    return folder


@pytest.mark.parametrize(
    ("certificate", "key", "told"),
    [
        ("one.pem", "one.key", []),
        ("one.pem", "two.key", ["4: tls_certificate: certificate and key are no usable pair"]),
        ("junk", "one.key", ["4: tls_certificate: certificate and key are no usable pair"]),
        ("one.pem", "", ["5: tls_key: there is no file"]),
    ],
)
def test_a_tls_pair_must_be_usable(
    tmp_path: Path, certificates: Path, certificate: str, key: str, told: list[str]
) -> None:
    lines = f"tls_certificate = {certificates / certificate}\ntls_key = {certificates / (key or 'no')}\n"
    path = written(tmp_path, SMALL.replace("[presence]", lines + "[presence]"))
    if told:
        assert [line[: len(start)] for line, start in zip(problems(path), told, strict=True)] == told
    else:
        assert load(path).pbx.tls_key == certificates / key


def test_a_trusted_file_must_hold_certificates(tmp_path: Path, certificates: Path) -> None:
    text = SMALL + f"[exchange]\ntls_ca = {certificates}/"
    assert load(written(tmp_path, text + "ca.pem\n")).exchange.tls_ca == certificates / "ca.pem"
    (told,) = problems(written(tmp_path, text + "junk\n"))
    assert (
        told
        == f"7: tls_ca: {certificates}/junk holds no certificate to trust; a PEM file with CA certificates"
    )
