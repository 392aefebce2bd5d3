"""Resolving with `ews_url`: ResolveNames, one address a request, and no autodiscover."""

from __future__ import annotations

import pytest

from presenced.calendars.carrier import Reply
from presenced.core.ports import DoorProblem, Mailbox
from tests.calendars.discovery.landscape import Landscape, Request, failing, status
from tests.calendars.discovery.test_finder import make_finder
from tests.calendars.discovery.test_names import answer, entry

HOST = "https://mail.example.com"
URL = f"{HOST}/EWS/Exchange.asmx"


def directory(request: Request) -> Reply:
    """Knows three people; ann by another address, too."""
    assert request.url == URL
    [entered] = request.texts("UnresolvedEntry")
    match entered.removeprefix("smtp:"):
        case "ann@example.com" | "a.smith@example.com":
            return Reply(200, {}, answer("NoError", entry("Ann@example.com")))
        case "bob@example.com":
            return Reply(200, {}, answer("NoError", entry("bob@example.com")))
        case "many@example.com":
            two = (entry("many1@example.com"), entry("many2@example.com"))
            return Reply(200, {}, answer("ErrorNameResolutionMultipleResults", *two))
    return Reply(200, {}, answer("ErrorNameResolutionNoResults", message="No results were found."))


async def test_mailboxes_are_found_in_the_directory() -> None:
    landscape = Landscape({HOST: directory})
    users = [["x@example.com", "a.smith@example.com"], ["bob@example.com"], ["many@example.com"], ["nobody"]]
    resolutions = await make_finder(landscape, ews_url=URL).fetch_mailboxes(users)
    assert [one.mailbox for one in resolutions] == [
        Mailbox("Ann@example.com", URL),
        Mailbox("bob@example.com", URL),
        None,
        None,
    ]
    assert [one.outcome for one in resolutions[0].answers] == [
        "ErrorNameResolutionNoResults, No results were found.",
        "mailbox Ann@example.com",
    ]
    assert resolutions[2].answers[0].outcome.startswith("Ambiguous")
    assert [len(request.texts("UnresolvedEntry")) for request in landscape.asked] == [1] * 4
    assert all(not request.texts("SmtpAddress") for request in landscape.asked)


async def test_user_names_impersonate_whom_they_ask_about() -> None:
    landscape = Landscape({HOST: directory})
    finder = make_finder(landscape, ews_url=URL, name_resolution="user-names")
    await finder.fetch_mailboxes([["ann@example.com"]])
    [request] = landscape.asked
    assert request.texts("SmtpAddress") == [request.budget] == [request.headers["X-AnchorMailbox"]]
    assert request.budget == "ann@example.com"


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        (failing("connect"), "connect trouble"),
        (status(401), "refused the password"),
        (failing("tls"), "tls trouble"),
    ],
)
async def test_a_server_out_of_reach_is_asked_a_few_times_only(host: object, reason: str) -> None:
    landscape = Landscape({HOST: host})  # type: ignore[dict-item]
    finder = make_finder(landscape, ews_url=URL, requests_in_flight=4)
    with pytest.raises(DoorProblem, match=reason):
        await finder.fetch_mailboxes([[f"user{each}@example.com"] for each in range(1000)])
    assert len(landscape.asked) <= 4


async def test_what_is_no_answer_is_told() -> None:
    landscape = Landscape({HOST: status(404)})
    [resolution] = await make_finder(landscape, ews_url=URL).fetch_mailboxes([["ann@example.com"]])
    assert (resolution.mailbox, resolution.answers[0].outcome) == (None, "HTTP 404")
