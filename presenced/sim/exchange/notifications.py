"""Subscribe, Unsubscribe and GetEvents.

MS-OXWSNTIF. A streaming subscription belongs to the back end its Subscribe landed on; whoever comes back
to another one (a lost or wrong affinity cookie) is told that there is no such subscription.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from presenced.sim.exchange.call import Call
from presenced.sim.exchange.folders import Folder, find_folder
from presenced.sim.exchange.problems import Problem, Refusal
from presenced.sim.exchange.soap import Element, child, children, escape, local, response, success, text_of
from presenced.sim.exchange.subscriptions import IDLE_LIFE, PULL_QUEUE, Subscription

LONGEST_LIFE = 1440
"""minutes a pull subscription may live without being asked"""
EVENTS = frozenset(
    {
        "CopiedEvent",
        "CreatedEvent",
        "DeletedEvent",
        "FreeBusyChangedEvent",
        "ModifiedEvent",
        "MovedEvent",
        "NewMailEvent",
    }
)
PAGE = 100
"""events one GetEvents hands out"""


def subscribe(call: Call) -> str:
    """MS-OXWSNTIF Subscribe: streaming or pull; push is refused, nobody here calls back."""
    wanted = next(iter(call.request.element), None)
    kinds: dict[str, Literal["streaming", "pull"]] = {
        "StreamingSubscriptionRequest": "streaming",
        "PullSubscriptionRequest": "pull",
    }
    if wanted is None or local(wanted) not in kinds:
        raise Problem("ErrorInvalidSubscriptionRequest", "Only streaming and pull subscriptions are kept.")
    kind = kinds[local(wanted)]
    if kind == "streaming" and call.request.older_than("Exchange2010_SP1"):
        raise Refusal("ErrorSchemaValidation", "Streaming subscriptions came with Exchange2010_SP1.")
    folders = _folders(call, wanted)
    events = frozenset((element.text or "").strip() for element in children(wanted, "EventTypes"))
    if not events or not events <= EVENTS:
        raise Refusal("ErrorSchemaValidation", "The request failed schema validation: unknown event type.")
    mailbox = folders[0].mailbox
    if any(folder.mailbox is not mailbox for folder in folders):
        raise Problem("ErrorInvalidSubscriptionRequest", "All folders must be of one mailbox.")
    _check_budget(call)
    subscription = call.subscriptions.add(
        mailbox,
        kind,
        events,
        watches_calendar=any(folder.is_calendar for folder in folders),
        backend=call.backend,
        budget=call.budget,
        now=call.now,
        life=_life(wanted) if kind == "pull" else IDLE_LIFE,
    )
    told = f"<m:SubscriptionId>{subscription.id}</m:SubscriptionId>"
    if kind == "pull":
        told += f"<m:Watermark>{_watermark(0)}</m:Watermark>"
    return response("Subscribe", success("Subscribe", told))


def _check_budget(call: Call) -> None:
    """Refuse one subscription too many; the dead are swept away before anybody is told so."""
    most = call.faults.subscriptions_per_budget
    if call.subscriptions.count(call.budget) >= most:
        call.subscriptions.sweep(call.now)
    if call.subscriptions.count(call.budget) >= most:
        raise Problem(
            "ErrorExceededSubscriptionCount",
            "You have exceeded the available subscriptions for your account. Remove unnecessary"
            " subscriptions and try your request again.",
        )


def _folders(call: Call, wanted: Element) -> list[Folder]:
    if wanted.get("SubscribeToAllFolders") in {"true", "1"}:
        return [Folder(call.admit(call.own()), "calendar")]
    folders = [find_folder(call, element) for element in children(wanted, "FolderIds")]
    if not folders:
        raise Problem("ErrorInvalidSubscriptionRequest", "The subscription names no folder.")
    return folders


def _life(wanted: Element) -> timedelta:
    minutes = text_of(wanted, "Timeout")
    if not minutes.isdecimal() or not 1 <= int(minutes) <= LONGEST_LIFE:
        raise Refusal("ErrorSchemaValidation", "The request failed schema validation: Timeout.")
    return timedelta(minutes=int(minutes))


def find_subscription(call: Call, subscription_id: str) -> Subscription:
    """The living subscription of that id on this back end; raises Problem."""
    subscription = call.subscriptions.find(subscription_id, call.backend, call.now)
    if subscription is None:
        raise Problem("ErrorSubscriptionNotFound", "The specified subscription was not found.")
    return subscription


def unsubscribe(call: Call) -> str:
    """MS-OXWSNTIF Unsubscribe."""
    subscription_id = text_of(call.request.element, "SubscriptionId")
    call.subscriptions.drop(find_subscription(call, subscription_id))
    return response("Unsubscribe", success("Unsubscribe"))


def get_events(call: Call) -> str:
    """MS-OXWSNTIF GetEvents: the events of a pull subscription after a watermark, or a status event."""
    asked = call.request.element
    subscription = find_subscription(call, text_of(asked, "SubscriptionId"))
    if subscription.queue is None:
        raise Problem("ErrorInvalidPullSubscriptionId", "The subscription is not a pull subscription.")
    mark = text_of(asked, "Watermark")
    since = _read_watermark(mark, subscription)
    subscription.expires = call.now + subscription.life
    oldest = subscription.sequence - len(subscription.queue) + 1
    if since + 1 < oldest and len(subscription.queue) == PULL_QUEUE:
        raise Problem("ErrorMissedNotificationEvents", "Events have been lost since that watermark.")
    waiting = [entry for entry in subscription.queue if entry[0] > since]
    page = waiting[:PAGE]
    events = "".join(
        f"<t:{name}><t:Watermark>{_watermark(number)}</t:Watermark>{content}</t:{name}>"
        for number, name, content in page
    )
    if not events:
        events = f"<t:StatusEvent><t:Watermark>{_watermark(since)}</t:Watermark></t:StatusEvent>"
    more = "true" if len(waiting) > len(page) else "false"
    return response(
        "GetEvents",
        success(
            "GetEvents",
            f"<m:Notification><t:SubscriptionId>{subscription.id}</t:SubscriptionId>"
            f"<t:PreviousWatermark>{escape(mark)}</t:PreviousWatermark><t:MoreEvents>{more}</t:MoreEvents>"
            f"{events}</m:Notification>",
        ),
    )


def _watermark(number: int) -> str:
    return f"AQ{number:010d}=="


def _read_watermark(text: str, subscription: Subscription) -> int:
    number = text.removeprefix("AQ").removesuffix("==")
    if not number.isdecimal() or int(number) > subscription.sequence:
        raise Problem("ErrorInvalidWatermark", "The watermark is invalid.")
    return int(number)


def stream_ids(call: Call) -> tuple[list[str], int]:
    """The subscription ids of a GetStreamingEvents and its ConnectionTimeout in minutes; raises Refusal."""
    asked = call.request.element
    ids = [(element.text or "").strip() for element in children(asked, "SubscriptionIds")]
    minutes = text_of(child(asked, "ConnectionTimeout"))
    if not ids or not minutes.isdecimal() or not 1 <= int(minutes) <= 30:
        raise Refusal(
            "ErrorSchemaValidation",
            "The request failed schema validation: SubscriptionIds, ConnectionTimeout 1 to 30.",
        )
    return ids, int(minutes)
