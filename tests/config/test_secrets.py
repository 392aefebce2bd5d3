"""Where secrets come from, how they are sealed, and that nothing prints them."""

from __future__ import annotations

import copy
import dataclasses
import traceback
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presenced.config.loading import load
from presenced.config.problems import ConfigProblems, Unfit
from presenced.config.reading import read_settings
from presenced.config.secrets import is_reference, look_up, obtain_key, read_key, seal, unseal
from presenced.config.settings import Secret, Settings
from tests.config.sample import SMALL, Machine, read, wrong

KEY = b"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
OTHER_KEY = b"ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="


def test_a_secret_prints_as_stars() -> None:
    secret = Secret("hunter2")
    assert [str(secret), repr(secret), f"{secret}", f"{secret!r}", "%s" % secret] == ["***"] * 5  # noqa: UP031
    assert secret.reveal() == "hunter2"
    assert secret == Secret("hunter2") != Secret("hunter3")
    assert copy.deepcopy(secret) == secret
    assert not Secret("")


def test_settings_print_no_secret() -> None:
    text = SMALL + (
        "[exchange]\npassword = hunter2\nclient_secret = hunter2\ncertificate_password = hunter2\ncertificate = c\n"
        "[web]\npassword = hunter2\n"
        "[alerts]\nsmtp_url = smtp://a:hunter2@b\nwebhook_url = https://b/hunter2\nmail_to = a@b\nmail_from = a@b\n"
    )
    found = read(text, Machine(files=frozenset({"c"})))
    assert found.alerts.smtp_url.reveal() == "smtp://a:hunter2@b"
    assert "hunter2" not in repr(found)
    assert "hunter2" not in str(dataclasses.asdict(found))


@pytest.mark.parametrize("text", ["env:A", "file:a", "credential:a", "sealed:a"])
def test_references(text: str) -> None:
    assert is_reference(text)


@pytest.mark.parametrize("text", ["hunter2", "environment", "env", "vault:a", "a env:b"])
def test_secrets_themselves(text: str) -> None:
    assert not is_reference(text)


def test_environment() -> None:
    assert look_up("env:A", {"A": "hunter2"}, Path()).secret.reveal() == "hunter2"


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b" hunter2 \r\n")
    path.chmod(0o600)
    for reference in (f"file:{path}", "file:secret"):
        found = look_up(reference, {}, tmp_path)
        assert found.secret.reveal() == " hunter2 "
        assert found.warning == ""
    path.chmod(0o644)
    assert "others can read" in look_up("file:secret", {}, tmp_path).warning


def test_credential(tmp_path: Path) -> None:
    (tmp_path / "app").write_text("hunter2\n")
    found = look_up("credential:app", {"CREDENTIALS_DIRECTORY": str(tmp_path)}, Path())
    assert found.secret.reveal() == "hunter2"


@pytest.mark.parametrize("folder", ["private", "systemd"])
def test_sealed(tmp_path: Path, folder: str) -> None:
    if folder == "private":
        environ = {"PRESENCED_KEY_FILE": str(tmp_path / "key")}
        (tmp_path / "key").write_bytes(KEY + b"\n")
        (tmp_path / "key").chmod(0o600)
    else:
        environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "PRESENCED_KEY_FILE": "/nowhere"}
        (tmp_path / "presenced.key").write_bytes(KEY)
        (tmp_path / "presenced.key").chmod(0o440)
    sealed = seal("hunter2", KEY)
    assert "hunter2" not in sealed
    assert look_up(sealed, environ, Path()).secret.reveal() == "hunter2"


@pytest.mark.parametrize(
    ("reference", "part"),
    [
        ("env:", "nothing stands behind env:"),
        ("env:NOPE", 'the environment variable "NOPE" is not set'),
        ("env:EMPTY", "the secret is empty"),
        ("file:nope", "no file"),
        ("file:.", "is no file"),
        ("file:" + "a" * 5000, "can't be read"),
        ("file:a\0b", "no file"),
        ("file:empty", "the secret is empty"),
        ("file:latin", "is no UTF-8 text"),
        ("file:long", "is too long for a secret"),
        ("credential:app", "CREDENTIALS_DIRECTORY is not set"),
        ("credential:../app", "is no name of a credential"),
        ("credential:..", "is no name of a credential"),
        ("sealed:abc", "the key file"),
    ],
)
def test_lookups_that_fail(tmp_path: Path, reference: str, part: str) -> None:
    (tmp_path / "empty").write_bytes(b"\n")
    (tmp_path / "latin").write_bytes(b"\xe4")
    (tmp_path / "long").write_bytes(b"a" * 70000)
    environ = {"EMPTY": "", "PRESENCED_KEY_FILE": str(tmp_path / "nope.key")}
    with pytest.raises(Unfit, match="; ") as caught:
        look_up(reference, environ, tmp_path)
    assert part in caught.value.wrong


def test_a_key_file_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(KEY)
    for mode in (0o644, 0o640, 0o604):
        path.chmod(mode)
        with pytest.raises(Unfit, match="can be read by others"):
            read_key({"PRESENCED_KEY_FILE": str(path)})


def test_a_key_file_without_a_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"short")
    path.chmod(0o600)
    with pytest.raises(Unfit, match="holds no key"):
        read_key({"PRESENCED_KEY_FILE": str(path)})


def test_a_key_is_made_once_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "presenced.key"
    environ = {"PRESENCED_KEY_FILE": str(path)}
    key, made = obtain_key(environ)
    assert made == path
    assert path.stat().st_mode & 0o777 == 0o600
    assert obtain_key(environ) == (key, None)
    assert read_key(environ) == key


@pytest.mark.parametrize(
    "spoil", [lambda text: text[:-4], lambda text: text[:20] + "!" + text[21:], lambda _: "sealed:ä"]
)
def test_a_spoilt_seal_is_told(spoil: object) -> None:
    assert callable(spoil)
    with pytest.raises(Unfit, match="sealed with another key"):
        unseal(spoil(seal("hunter2", KEY)), KEY)


def test_a_seal_of_another_key_is_told() -> None:
    with pytest.raises(Unfit, match="sealed with another key"):
        unseal(seal("hunter2", KEY), OTHER_KEY)


@given(st.text(st.characters(exclude_categories=["Cs"])))
@settings(max_examples=50)
def test_what_is_sealed_comes_back(secret: str) -> None:
    sealed = seal(secret, KEY)
    assert sealed.isascii()
    assert "\n" not in sealed
    assert unseal(sealed, KEY) == secret


def test_clear_text_in_a_file_others_can_read() -> None:
    text = SMALL + "[exchange]\npassword = hunter2\nclient_secret = env:A\n"
    machine = Machine(secrets={"env:A": "x"}, exposed=True)
    (problem,) = wrong(text, machine)
    assert problem.startswith(
        "x.ini:7: password: a secret in clear text, in a file others can read; chmod o-r x.ini"
    )
    machine.exposed = False
    assert read(text, machine).exchange.password.reveal() == "hunter2"
    assert read(text).exchange.password.reveal() == "hunter2"


def test_a_url_is_a_secret_as_far_as_it_holds_a_password() -> None:
    mail = SMALL + "[alerts]\nmail_to = a@b\nmail_from = a@b\nsmtp_url = smtp://{}localhost\n"
    machine = Machine(exposed=True)
    assert read(mail.format(""), machine).alerts.smtp_url.reveal() == "smtp://localhost"
    (problem,) = wrong(mail.format("me:hunter2@"), machine)
    assert "smtp_url: a secret in clear text" in problem
    assert "hunter2" not in problem


def test_a_url_that_was_looked_up_is_checked_too() -> None:
    text = SMALL + "[alerts]\nwebhook_url = env:HOOK\n"
    (problem,) = wrong(text, Machine(secrets={"env:HOOK": "http://example.com/hunter2"}))
    assert problem.startswith("x.ini:7: webhook_url: http:// would go through the network unencrypted")


def test_every_failing_secret_is_told_with_its_line() -> None:
    text = SMALL + "[exchange]\npassword = env:A\nclient_secret = file:b\n[web]\npassword = sealed:c\n"
    assert [line[:9] for line in wrong(text, Machine())] == ["x.ini:7: ", "x.ini:8: ", "x.ini:10:"]


SECRET_KEYS = [
    ("pbx", "app_password"),
    ("exchange", "password"),
    ("exchange", "client_secret"),
    ("exchange", "certificate_password"),
    ("web", "password"),
    ("alerts", "smtp_url"),
    ("alerts", "webhook_secret"),
    ("alerts", "webhook_url"),
]
WORD = "Zx9Qwv7Kk"


@given(
    st.sampled_from(SECRET_KEYS),
    st.sampled_from(["{}", "  {}", "env:{}", "smtp://a:{}@b", "http://x/{}", "{}\n  {}", "{}\x00", "{}\n{}"]),
    st.sampled_from(["{} = {}", "{}= {}", "{} {}", "{}: {}", "x{} = {}", "[{}] {}", "{}x = {}"]),
    st.booleans(),
)
@settings(max_examples=200)
def test_no_problem_tells_a_secret(
    place: tuple[str, str],
    shape: str,
    line: str,
    exposed: bool,
) -> None:
    section, key = place
    value = shape.replace("{}", WORD)
    text = f"{SMALL.replace('[pbx]', '')}\n[{section}]\n" + line.format(key, value)
    found = read_settings("[pbx]\n" + text, "x.ini", Machine(exposed=exposed))
    told = repr(found) if isinstance(found, Settings) else "\n".join(map(str, found))
    if shape != "env:{}":  # a name of a variable is no secret
        assert WORD.lower() not in told.lower()


def test_the_traceback_of_a_failing_lookup_tells_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.ini"
    path.write_text(SMALL + "[web]\npassword = hunter2\n[alerts]\nwebhook_url = env:HOOK\n")
    path.chmod(0o604)
    monkeypatch.setenv("HOOK", "gopher://hunter2")
    with pytest.raises(ConfigProblems) as caught:
        load(path)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    assert len(caught.value.problems) == 2
