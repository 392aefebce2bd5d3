"""The answers of a server in trouble.

Each switch that is no matter of a stream becomes one reply here: a status code, a fault, an error in
every response message, or bytes that aren't what they should be.
"""

from __future__ import annotations

from aiohttp import web

from presenced.sim.exchange.call import Call
from presenced.sim.exchange.faults import Switch, Trouble
from presenced.sim.exchange.problems import Problem, Refusal, busy, wrapped
from presenced.sim.exchange.soap import child, envelope, failure, response

CONTAINERS = {
    "ConvertId": "SourceIds",
    "CreateItem": "Items",
    "DeleteItem": "ItemIds",
    "FindFolder": "ParentFolderIds",
    "FindItem": "ParentFolderIds",
    "GetFolder": "FolderIds",
    "GetItem": "ItemIds",
    "UpdateItem": "ItemChanges",
}
"""where the parts of a request stand that are each answered by a response message"""
CHALLENGES = [("WWW-Authenticate", scheme) for scheme in ("Negotiate", "NTLM", 'Basic realm="exchange"')]
ERROR_PAGE = (
    "<!DOCTYPE html><html><head><title>Runtime Error</title></head>"
    "<body><h1>Server Error in '/EWS' Application.</h1><p>An exception occurred.<br></body></html>"
)


def answer_in_trouble(switch: Switch, call: Call) -> web.Response | None:
    """What is sent instead of an answer; None where the trouble comes later. Raises Refusal for faults."""
    trouble = switch.trouble
    if trouble is Trouble.BUSY:
        problem = busy(switch.back_off)
        raise Refusal(problem.code, problem.text, problem.values)
    if trouble is Trouble.FAULT:
        raise Refusal(switch.code, "The request failed.")
    if trouble is Trouble.MOVING:
        raise Refusal("ErrorMailboxMoveInProgress", "Mailbox move in progress. Try again later.")
    if trouble is Trouble.BUSY_WRAPPED:
        return _in_every_part(wrapped(busy(switch.back_off)), call)
    if trouble is Trouble.BUSY_MESSAGE:
        return _in_every_part(busy(switch.back_off), call)
    if trouble is Trouble.ERROR:
        return _in_every_part(Problem(switch.code, "The operation failed."), call)
    return _of_http(switch)


def _of_http(switch: Switch) -> web.Response | None:
    trouble = switch.trouble
    if trouble is Trouble.UNAVAILABLE:
        seconds = int(switch.back_off.total_seconds())
        return web.Response(status=503, headers={"Retry-After": str(seconds)} if seconds else None)
    if trouble is Trouble.UNAUTHORIZED:
        return web.Response(status=401, headers=CHALLENGES)
    if trouble is Trouble.BLOCKED:
        return web.Response(status=403, headers={"X-EWS-Policy-Reason": switch.text})
    if trouble is Trouble.NOT_XML:
        return web.Response(body=b"\x00\x01 this is no XML \xff", content_type="text/xml")
    if trouble is Trouble.HTML:
        return web.Response(text=ERROR_PAGE, content_type="text/html")
    return None


def _in_every_part(problem: Problem, call: Call) -> web.Response:
    operation = call.request.operation
    if operation == "GetUserAvailability":
        raise Refusal(problem.code, problem.text, problem.values)  # it has no response messages
    container = child(call.request.element, CONTAINERS.get(operation, ""))
    parts = 1 if container is None else max(1, len(container))
    body = envelope(response(operation, failure(operation, problem) * parts))
    return web.Response(body=body, headers={"Content-Type": "text/xml; charset=utf-8"})


def truncate(answer: web.Response) -> web.Response:
    """The first half of an answer, sent as if it were all."""
    body = answer.body
    if isinstance(body, bytes):
        answer.body = body[: len(body) // 2]
    return answer
