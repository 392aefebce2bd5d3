"""Wrong files and exactly what is said of them; right files and what they mean."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presenced.config.reading import read_settings
from presenced.config.schema import SECTIONS, USER_KEYS
from presenced.config.settings import Address, Secret, Settings
from presenced.core.activity import Mapped
from tests.config.sample import SMALL, Machine, read, wrong


def test_the_smallest_file_means_the_defaults() -> None:
    found = read(SMALL, Machine())
    assert found.pbx.listen == Address("127.0.0.1", 8443)
    assert found.pbx.master_pbx_name == "main"
    assert found.presence.timezone == "Europe/Berlin"
    assert found.presence.window == timedelta(hours=48)
    assert found.lines == {("pbx", "listen"): 2, ("pbx", "master_pbx_name"): 3, ("presence", "timezone"): 5}
    assert found.path == "x.ini"


def test_every_problem_is_told_at_once_by_line() -> None:
    text = """\
stray = 1
[pbx]
mode = lisen
lisen = 127.0.0.1:1
timezone = Europe/Berlin
tls_certificate = cert.pem
junk
[presense]
window_hours = 3
[exchange]
sync_type = cloud-app-only
certificate = x.pem
client_secret = hunter2
[web]
listen = 0.0.0.0:8090
[log]
level = info
level = debug
[user nobody]
window_hours = 48
"""
    assert wrong(text, Machine(files=frozenset({"cert.pem", "x.pem"}))) == [
        "x.ini:1: stray stands before the first section; put it below its [section]",
        (
            "x.ini:1: timezone is missing and so is its section [presence];"
            " allowed: an IANA name such as Europe/Berlin"
        ),
        (
            "x.ini:2: master_pbx_name is missing in [pbx];"
            " the name of the main PBX, as its PBX configuration shows it"
        ),
        'x.ini:3: mode: "lisen" is not allowed; allowed: listen, dial (did you mean listen?)',
        "x.ini:4: unknown key lisen in [pbx]; did you mean listen?",
        "x.ini:5: timezone does not belong in [pbx]; it belongs in [presence]",
        "x.ini:6: tls_key is missing beside tls_certificate; name both files or none",
        "x.ini:7: this line says nothing known; key = value, [section] or # comment is meant",
        'x.ini:8: unknown section "[presense]"; did you mean [presence]?',
        'x.ini:9: window_hours: "3" is not allowed; allowed: a whole number from 25 to 168',
        "x.ini:10: client_id is missing in [exchange]; sync_type = cloud-app-only needs it",
        "x.ini:10: tenant_id is missing in [exchange]; sync_type = cloud-app-only needs it",
        (
            "x.ini:13: client_secret is one credential too many;"
            " only one of client_secret, certificate, federated_token_file"
        ),
        "x.ini:14: password is missing in [web]; a status page that is not on loopback needs it",
        "x.ini:18: level is set again; keep this one or the one in line 17",
        'x.ini:19: "[user nobody]" names nobody; [user name@example.com] or a pattern, [user *@example.com]',
        (
            "x.ini:20: window_hours does not belong in a [user …] section; it belongs in [presence]"
            " (a user may have sync, language, timezone, subject, busy, tentative,"
            " tentative_exception_organizers, tentative_exception, out_of_office, working_elsewhere, no_data)"
        ),
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("[pbx2]", 'unknown section "[pbx2]"; did you mean [pbx]?'),
        (
            "[zzz]",
            "[pbx], [presence], [mapping], [exchange], [store], [web], [alerts], [log] and [user ADDRESS]",
        ),
        ("[web x]", 'unknown section "[web x]"; [web] is meant, without "x"'),
        ("sync = yes", "sync does not belong in [presence]; it belongs in a [user …] section"),
        ("listen = 127.0.0.1:1", "listen does not belong in [presence]; it belongs in [pbx] or [web]"),
        (
            "poll_second = 3",
            "unknown key poll_second in [presence]; did you mean poll_seconds in [exchange]?",
        ),
        ("zzz = 3", "unknown key zzz in [presence]; it has language, timezone, subject, priority_words,"),
        (
            "language = klingonese",
            'language: no language is called "klingonese"; a locale id such as en, en_GB',
        ),
        ("language = en-GB", 'language: no language is called "en-GB"; did you mean en_GB?'),
        ("subject = maybe", 'subject: "maybe" is not allowed; allowed: show, hide'),
        ("window_hours = 24", "allowed: a whole number from 25 to 168"),
        ("window_hours = 169", "allowed: a whole number from 25 to 168"),
        ("window_hours = 48h", 'window_hours: "48h" is not allowed'),
        ("window_hours = ４８", "window_hours: "),
        ("window_hours =", "window_hours: there is no value; allowed: a whole number from 25 to 168"),
        ("max_title_length = 7", "allowed: a whole number from 8 to 1000"),
        ("max_title_length = 1001", "allowed: a whole number from 8 to 1000"),
        ("priority_words = a\n  window_hours = 30", "the indented window_hours below goes on with this list"),
        (
            "window_hours = 30\n  subject = hide",
            "window_hours: an indented line below goes on with the value",
        ),
    ],
)
def test_one_wrong_line(line: str, expected: str) -> None:
    (problem,) = wrong(SMALL + line, Machine())
    assert problem.startswith("x.ini:6: ")
    assert expected in problem


@pytest.mark.parametrize(
    ("section", "line", "expected"),
    [
        ("web", "listen = 8090", 'listen: "8090" is no place to listen; allowed: host:port'),
        ("web", "listen = :8090", "is no place to listen"),
        ("web", "listen = 127.0.0.1:8443", "listen: the PBX link listens there already; take another port"),
        ("web", "listen = ::1:8090", "is no place to listen"),
        ("web", "listen = [::1:8090", "is no place to listen"),
        ("web", "listen = [localhost]:8090", "is no place to listen"),
        ("web", "listen = 127.0.0.1:65536", "is no place to listen"),
        ("web", "listen = 127.0.0.1:-1", "is no place to listen"),
        (
            "store",
            "url = postgresql://db/presenced",
            "this is no store the daemon knows; allowed: sqlite:///",
        ),
        ("store", "url = sqlite://presenced.db", "this is no store the daemon knows"),
        ("store", "url = sqlite:///", "this is no store the daemon knows"),
        ("store", "history_days = 0", "allowed: a whole number from 1 to 3650"),
        ("log", "level = verbose", "allowed: debug, info, warning, error"),
        ("log", "format = xml", "allowed: text, json"),
        ("mapping", "busy = free", "allowed: available, busy, away, dnd, ignore"),
        ("mapping", "tentative_exception_organizers = hr@example.com, hr", '"hr" is no mail address'),
        ("exchange", "sync_type = onprem", "allowed: disabled, on-premises, cloud, cloud-app-only, graph"),
        ("exchange", "connection_minutes = 31", "allowed: a whole number from 1 to 30"),
        ("exchange", "connection_minutes = 0", "allowed: a whole number from 1 to 30"),
        ("exchange", "max_subscriptions_per_connection = 0", "allowed: a whole number, 1 or more"),
        (
            "exchange",
            "ews_url = http://mail.example.com/EWS/Exchange.asmx",
            "http:// would go through the network",
        ),
        (
            "exchange",
            "ews_url = mail.example.com",
            "this URL will not do; allowed: https://… (http://… on loopback)",
        ),
        ("exchange", "ews_url = https://", "this URL will not do"),
        ("exchange", "ews_url = https://[::1", "this URL will not do"),
        ("exchange", "ews_url = https://a:b", "this URL will not do"),
        ("exchange", "ews_url = https://a b", "this URL will not do"),
        (
            "exchange",
            "autodiscover_url = https://me:hunter2@example.com/",
            "a user name or password stands in the",
        ),
        (
            "exchange",
            "certificate_password = hunter2",
            "certificate_password stands there without certificate",
        ),
        ("exchange", "debug_protocol = true", "allowed: yes, no"),
        ("alerts", "after_minutes = 0", "allowed: a whole number from 1 to 10080"),
        (
            "alerts",
            "webhook_url = http://example.com/hunter2",
            "http:// would go through the network unencrypted",
        ),
    ],
)
def test_one_wrong_value(section: str, line: str, expected: str) -> None:
    (problem,) = wrong(f"{SMALL}[{section}]\n{line}\n", Machine())
    assert problem.startswith("x.ini:7: ")
    assert expected in problem
    assert "hunter2" not in problem


@pytest.mark.parametrize("contact", ["tel:", "im:", "calendar", "cal endar:", ":"])
def test_contacts_that_will_not_do(contact: str) -> None:
    (problem,) = wrong(SMALL.replace("[presence]", f"contact = {contact}\n[presence]"))
    assert problem.startswith("x.ini:4: contact: ")


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ("timezone = Europe/Berlin", "x.ini:4: timezone is missing in [presence]; allowed: an IANA name"),
        ("master_pbx_name = main", "x.ini:1: master_pbx_name is missing in [pbx]; the name of the main PBX"),
    ],
)
def test_a_missing_key_names_the_line_of_its_section(missing: str, expected: str) -> None:
    (problem,) = wrong(SMALL.replace(missing, "#"), Machine())
    assert problem.startswith(expected)


def test_a_required_key_left_empty_is_told_where_it_stands() -> None:
    (problem,) = wrong(SMALL.replace("Europe/Berlin", ""), Machine())
    assert problem.startswith("x.ini:5: timezone is missing in [presence]")


def test_values_become_what_they_mean() -> None:
    text = SMALL + (
        "priority_words = vacation, , home office,\n  sick leave\n"
        "subject = HIDE\nlanguage = de_AT\n"
        "[mapping]\nbusy = dnd\ntentative_exception_organizers = HR@example.com,\n"
        "[exchange]\nsync_type = disabled\nconnection_minutes = 5\npoll_seconds = 90\n"
        "[store]\nurl = sqlite:///srv/p.db\nhistory_days = 30\n"
        "[web]\nlisten =\n"
        "[alerts]\nafter_minutes = 3\n"
    )
    found = read(text, Machine())
    assert found.presence.priority_words == ("vacation", "home office", "sick leave")
    assert found.presence.subject_shown is False
    assert found.presence.language == "de_AT"
    assert found.mapping.busy is Mapped.DND
    assert found.mapping.tentative_exception_organizers == ("HR@example.com",)
    assert found.exchange.connection_lifetime == timedelta(minutes=5)
    assert found.exchange.poll_interval == timedelta(seconds=90)
    assert found.store.path == Path("/srv/p.db")
    assert found.store.history == timedelta(days=30)
    assert found.web.listen is None
    assert found.alerts.after == timedelta(minutes=3)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("[::1]:8443", Address("::1", 8443)),
        ("localhost:0", Address("localhost", 0)),
        ("127.0.0.2:80", Address("127.0.0.2", 80)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert read(SMALL.replace("127.0.0.1:8443", text), Machine()).pbx.listen == address


def test_relative_paths_start_at_the_folder_of_the_ini_file() -> None:
    text = SMALL + "[exchange]\ntls_ca = ca.pem\n"
    found = read_settings(
        text, "/etc/presenced/presenced.ini", Machine(files=frozenset({"/etc/presenced/ca.pem"}))
    )
    assert isinstance(found, Settings)
    assert found.exchange.tls_ca == Path("/etc/presenced/ca.pem")


PIECES = [f"[{section}]" for section in SECTIONS] + ["[user *@example.com]", "[user", "", "\ufeff", "  go on"]
LINES = st.one_of(
    st.sampled_from(PIECES),
    st.builds(
        "{} = {}".format,
        st.sampled_from(sorted({key.name for keys in (*SECTIONS.values(), USER_KEYS) for key in keys})),
        st.one_of(
            st.text(max_size=20),
            st.sampled_from(
                ["yes", "-1", "https://[", "0.0.0.0:1", "env:", "file:\u0100", "sealed:x", "graph", "dial"]
            ),
        ),
    ),
    st.text(max_size=20),
)


TEXTS = st.one_of(
    st.lists(LINES, max_size=25).map("\n".join),
    st.lists(LINES, max_size=2).map(lambda lines: SMALL + "[user *@example.com]\n" + "\n".join(lines)),
)


@given(TEXTS)
@settings(max_examples=300)
def test_no_text_whatsoever_raises(text: str) -> None:
    for outside in (None, Machine(exposed=True)):
        found = read_settings(text, "x.ini", outside)
        if isinstance(found, Settings):
            assert found.for_user(("anna@example.com",)).timezone in {"Europe/Berlin", "UTC"}
        else:
            assert found
            last = text.count("\n") + text.count("\r") + 1
            assert all(1 <= problem.line <= last for problem in found)
            assert [problem.line for problem in found] == sorted(problem.line for problem in found)
            assert all(len(str(problem).splitlines()) == 1 for problem in found)


def test_nothing_outside_is_asked_without_an_outside() -> None:
    text = SMALL + "[exchange]\npassword = env:NOPE\ntls_ca = /nope.pem\n"
    assert read(text).exchange.password == Secret("")
