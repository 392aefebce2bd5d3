"""Microsoft's schema as the judge: of requests, of answers, of the words we use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import presenced.sim.exchange
from presenced.sim.exchange.schema import SchemaCheck
from presenced.sim.exchange.server import SimulatedExchange
from tests.sim.exchange.raw import RawClient, find_item, request, schema_folder

FOLDER = schema_folder()
pytestmark = pytest.mark.skipif(
    FOLDER is None, reason="Microsoft's EWS schema is not there (PRESENCED_EWS_SCHEMA, ../shared/ews-schema)"
)


def test_every_response_code_is_one_of_microsofts() -> None:
    assert FOLDER is not None
    known = set(re.findall(r'enumeration value="(\w+)"', (FOLDER / "messages.xsd").read_text()))
    sources = Path(presenced.sim.exchange.__file__).parent.glob("*.py")
    used = {code for path in sources for code in re.findall(r'"(Error[A-Z]\w+)"', path.read_text())}
    assert len(used) > 40
    assert used - known == {"ErrorSubscriptionIds"}  # an element, not a code


@pytest.mark.parametrize(
    ("change", "is_fine"),
    [
        (("", ""), True),
        (("Traversal", "Traversing"), False),
        (("<m:ParentFolderIds>", "<m:Parents/><m:ParentFolderIds>"), False),
        (("calendar:Start", "calendar:Beginning"), False),
        (('Version="Exchange2016"', 'Version="V2018_01_08"'), True),
    ],
)
async def test_a_request_the_schema_does_not_know_is_rejected(
    client: RawClient, exchange: SimulatedExchange, change: tuple[str, str], is_fine: bool
) -> None:
    body = request(find_item(), mailbox="alice@example.com").decode().replace(*change)
    answer = await client.send(body.encode())
    assert (answer.codes == ["NoError"]) is is_fine
    assert len(exchange.client_bugs) == (not is_fine)


def test_known_exceptions_of_real_servers_pass(schema: SchemaCheck | None) -> None:
    assert schema is not None
    body = (
        "<m:GetStreamingEventsResponse><m:ResponseMessages><m:GetStreamingEventsResponseMessage"
        ' ResponseClass="Error"><m:ResponseCode>ErrorSubscriptionNotFound</m:ResponseCode>'
        "<m:ErrorSubscriptionIds><m:SubscriptionId>{}</m:SubscriptionId></m:ErrorSubscriptionIds>"
        "</m:GetStreamingEventsResponseMessage></m:ResponseMessages></m:GetStreamingEventsResponse>"
    )
    assert schema.problems(request(body.format("x"))) == []
    assert schema.problems(request(body.format("<x/>"))) != []
    assert schema.problems(b"<broken") != []
