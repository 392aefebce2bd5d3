"""SyncFolderItems: what changed in a folder since a state the client keeps.

MS-OXWSSYNC. A state names the mailbox, the version it was true at and, while the first pages are under
way, the last item handed out; changes during those pages come with the versions after it.
"""

from __future__ import annotations

import binascii
from typing import NamedTuple

from presenced.sim.exchange.call import Call, each
from presenced.sim.exchange.folders import Folder, find_folder
from presenced.sim.exchange.ids import write_id
from presenced.sim.exchange.problems import Problem
from presenced.sim.exchange.properties import Angle, Writer
from presenced.sim.exchange.shapes import compile_shape, read_shape, show_items
from presenced.sim.exchange.soap import Element, child, children, response, success, text_of

MOST_CHANGES = 512
"""MaxSyncChangesReturnedType"""


class State(NamedTuple):
    """What a client is in step with."""

    folder: str
    """id of the folder"""
    version: int
    after: str = ""
    """while the first pages go out: id of the last item handed out, with a mark before it"""

    def write(self) -> str:
        """As clients see it."""
        text = f"{self.folder}\0{self.version}\0{self.after}"
        return binascii.b2a_base64(text.encode(), newline=False).decode()


def read_state(text: str, folder: Folder) -> State:
    """The state a client hands back for this folder; Problem where it is none."""
    try:
        name, version, after = binascii.a2b_base64(text.encode()).decode().split("\0", 2)
        state = State(name, int(version), after)
    except ValueError:
        state = State("", -1)
    if state.folder != folder.id:
        raise Problem("ErrorInvalidSyncStateData", "Synchronization state data is corrupt or invalid.")
    return state


def sync_folder_items(call: Call) -> str:
    """MS-OXWSSYNC SyncFolderItems."""
    asked = call.request.element
    writers = compile_shape(read_shape(child(asked, "ItemShape")), finding=True)
    most_text = text_of(asked, "MaxChangesReturned")
    most = min(int(most_text) if most_text.isdecimal() else MOST_CHANGES, MOST_CHANGES)
    text = text_of(asked, "SyncState")

    def answer(element: Element) -> str:
        folder = find_folder(call, element)
        if text and not (state := read_state(text, folder)).after:
            following, changes, is_last = _changes(folder, state, most, call, writers)
        else:
            since = state if text else State(folder.id, folder.mailbox.version)
            following, changes, is_last = _first_page(folder, since, most, call, writers)
        return success(
            "SyncFolderItems",
            f"<m:SyncState>{following.write()}</m:SyncState>"
            f"<m:IncludesLastItemInRange>{'true' if is_last else 'false'}</m:IncludesLastItemInRange>"
            f"<m:Changes>{changes}</m:Changes>",
        )

    folders = list(children(asked, "SyncFolderId"))[:1]
    return response("SyncFolderItems", each(call, folders, answer))


def _angle(folder: Folder, call: Call) -> Angle:
    return Angle(folder.mailbox, call.request.level, finding=True)


def _first_page(
    folder: Folder, state: State, most: int, call: Call, writers: tuple[Writer, ...]
) -> tuple[State, str, bool]:
    items = folder.mailbox.view(*call.horizon) if folder.is_calendar else []
    rest = sorted((item for item in items if f"+{item.id}" > state.after), key=lambda item: item.id)
    page = rest[:most]
    angle = _angle(folder, call)
    changes = "".join(f"<t:Create>{show_items([item], writers, angle)}</t:Create>" for item in page)
    is_last = len(rest) <= most
    return state._replace(after="" if is_last else f"+{page[-1].id}"), changes, is_last


def _changes(
    folder: Folder, state: State, most: int, call: Call, writers: tuple[Writer, ...]
) -> tuple[State, str, bool]:
    changes = folder.mailbox.changes_since(state.version) if folder.is_calendar else []
    if changes is None:
        raise Problem("ErrorInvalidSyncStateData", "Synchronization state data is corrupt or invalid.")
    page = changes[:most]
    events: dict[str, list[str]] = {}
    for _, event, item_id in page:
        events.setdefault(item_id, []).append(event)
    now_there = folder.mailbox.pick(events.keys())
    angle = _angle(folder, call)
    shown = []
    for item_id, happened in events.items():
        item = now_there.get(item_id)
        if item is not None:
            kind = "Create" if happened[0] == "Created" else "Update"
            shown.append(f"<t:{kind}>{show_items([item], writers, angle)}</t:{kind}>")
        elif happened[0] != "Created":
            address = folder.mailbox.address
            shown.append(f'<t:Delete><t:ItemId Id="{write_id("item", address, item_id)}"/></t:Delete>')
    version = page[-1][0] if page else state.version
    return state._replace(version=version), "".join(shown), len(page) == len(changes)
