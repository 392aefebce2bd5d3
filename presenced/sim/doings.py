"""What people do to their calendars while one watches: each doing changes one mailbox, now.

A doing looks at the scene (one mailbox, one instant), changes it if it can and says in English what
happened, or returns None where it makes no sense: nobody declines where nothing was asked. Titles stay out of
the words.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from presenced.sim.exchange.organisation import Item
from presenced.sim.localtime import clock_time, day_of
from presenced.sim.people import GIVEN
from presenced.sim.scene import Scene, round_down
from presenced.sim.titles import ODD

_MINUTE = timedelta(minutes=1)


def takes_a_call(scene: Scene) -> str | None:
    """Begins an ad-hoc meeting this very moment."""
    until = scene.later(10, 45)
    subject = scene.rng.choice(scene.titles.calls).replace("{name}", scene.rng.choice(GIVEN))
    scene.add(subject, scene.now, until)
    return f"takes a call until {scene.at(until)}"


def is_called(scene: Scene) -> str | None:
    """The same, but only for who has nothing to do."""
    return None if scene.current else takes_a_call(scene)


def is_invited(scene: Scene) -> str | None:
    """Gets an invitation to what is about to begin, and hasn't answered yet."""
    until = scene.later(20, 60)
    scene.add(
        scene.rng.choice(scene.titles.invitations),
        round_down(scene.now),
        until,
        **scene.somebody() | {"show_as": "Tentative", "my_response": "NoResponseReceived"},
    )
    return f"is invited until {scene.at(until)} and hasn't answered"


def _asked(scene: Scene) -> Item | None:
    asked = [item for item in scene.here if item.show_as == "Tentative"]
    return asked[-1] if asked else scene.soon("Tentative")


def accepts(scene: Scene) -> str | None:
    """Accepts an invitation: tentative becomes busy."""
    item = _asked(scene)
    if item is None:
        return None
    scene.change(item, show_as="Busy", my_response="Accept")
    return f"accepts the invitation for {scene.at(item.start)}"


def declines(scene: Scene) -> str | None:
    """Declines an invitation."""
    item = _asked(scene)
    if item is None:
        return None
    scene.change(item, show_as="Free", my_response="Decline")
    return f"declines the invitation for {scene.at(item.start)}"


def cancels(scene: Scene) -> str | None:
    """An appointment is called off: it stays, marked as cancelled, as Outlook leaves it."""
    item = scene.current or scene.soon("Busy", "OOF")
    if item is None:
        return None
    scene.change(item, cancelled=True, show_as="Free", subject=scene.titles.cancelled + item.subject)
    return f"sees the {scene.at(item.start)} cancelled"


def deletes(scene: Scene) -> str | None:
    """An appointment is thrown away."""
    item = scene.current or scene.soon("Busy", "OOF")
    if item is None:
        return None
    scene.mailbox.remove(item.id, moved=scene.rng.random() < 0.5)
    return f"deletes the {scene.at(item.start)}"


def moves(scene: Scene) -> str | None:
    """What is on now is put off."""
    item = scene.current
    if item is None:
        return None
    start = scene.later(30, 120)
    scene.change(item, start=start, end=start + (item.end - item.start))
    return f"moves the {scene.at(item.start)} to {scene.at(start)}"


def pulls_forward(scene: Scene) -> str | None:
    """What comes later begins now."""
    item = scene.soon("Busy")
    if item is None or scene.current:
        return None
    scene.change(item, start=scene.now, end=scene.now + (item.end - item.start))
    return f"pulls the {scene.at(item.start)} forward to now"


def extends(scene: Scene) -> str | None:
    """It takes longer."""
    item = scene.current
    if item is None:
        return None
    end = item.end + scene.rng.choice((10, 15, 30)) * _MINUTE
    scene.change(item, end=end)
    return f"extends the {scene.at(item.start)} until {scene.at(end)}"


def ends_early(scene: Scene) -> str | None:
    """It is over before its time."""
    item = scene.current
    if item is None or item.start >= scene.now:
        return None
    scene.change(item, end=scene.now)
    return f"ends the {scene.at(item.start)} early"


def steps_out(scene: Scene) -> str | None:
    """Leaves the house for a while."""
    if scene.away:
        return None
    until = scene.later(30, 150)
    scene.add(scene.rng.choice(scene.titles.visits), scene.now, until, show_as="OOF")
    return f"is out of office until {scene.at(until)}"


def comes_back(scene: Scene) -> str | None:
    """Ends an absence, of whatever kind."""
    item = scene.away
    if item is None:
        return None
    if item.all_day or item.start >= scene.now:
        scene.mailbox.remove(item.id)
    else:
        scene.change(item, end=scene.now)
    return "comes back to the office"


def goes_home(scene: Scene) -> str | None:
    """Ends what is on and is away until tomorrow morning."""
    if scene.away:
        return None
    item = scene.current
    if item is not None and item.start < scene.now:
        scene.change(item, end=scene.now)
    zone = scene.mailbox.zone
    until = clock_time(zone, day_of(zone, scene.now) + 1, 8 * 60)
    scene.add(scene.titles.gone_home, scene.now, until, show_as="OOF")
    return "goes home"


def works_elsewhere(scene: Scene) -> str | None:
    """Goes on working, but not at the desk."""
    if any(item.show_as == "WorkingElsewhere" for item in scene.here):
        return None
    until = scene.later(60, 240)
    scene.add(scene.titles.home_office, scene.now, until, show_as="WorkingElsewhere")
    return f"works elsewhere until {scene.at(until)}"


def renames(scene: Scene) -> str | None:
    """Gives what is on now another title, now and then one that looks like tags or markup."""
    item = scene.current
    if item is None:
        return None
    words = ODD if scene.rng.random() < 0.3 else scene.titles.meetings
    scene.change(item, subject=scene.rng.choice(words))
    return f"renames the {scene.at(item.start)}"


def hides(scene: Scene) -> str | None:
    """Marks what is on now as private, or makes it public again."""
    item = scene.current
    if item is None:
        return None
    public = item.sensitivity == "Normal"
    scene.change(item, sensitivity="Private" if public else "Normal")
    return f"marks the {scene.at(item.start)} as {'private' if public else 'public'}"


Doing = Callable[[Scene], str | None]
DOINGS: tuple[tuple[int, Doing], ...] = (
    (8, is_called),
    (3, accepts),
    (1, declines),
    (2, cancels),
    (2, deletes),
    (3, moves),
    (3, pulls_forward),
    (2, extends),
    (4, ends_early),
    (3, steps_out),
    (4, comes_back),
    (1, goes_home),
    (2, works_elsewhere),
    (3, is_invited),
    (2, renames),
    (1, hides),
)
"""how often each is tried, and what"""


def do_something(scene: Scene) -> tuple[str, str]:
    """One doing that makes sense here: its name and what happened."""
    weights = [weight for weight, _ in DOINGS]
    for doing in scene.rng.choices([doing for _, doing in DOINGS], weights, k=20):
        happened = doing(scene)
        if happened is not None:
            return doing.__name__, happened
    happened = takes_a_call(scene)
    return takes_a_call.__name__, happened or ""
