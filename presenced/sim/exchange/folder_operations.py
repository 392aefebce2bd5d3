"""GetFolder, FindFolder and SyncFolderHierarchy.

The tree never changes, so a hierarchy is in step after its first page.
"""

from __future__ import annotations

from presenced.sim.exchange.call import Call, each
from presenced.sim.exchange.folders import TREE, Folder, find_folder, read_folder_shape, show_folder
from presenced.sim.exchange.problems import Problem
from presenced.sim.exchange.soap import (
    Element,
    child,
    children,
    number_of,
    paging,
    response,
    success,
    text_of,
)

HIERARCHY_STATE = "H1"
"""the only state a folder tree is ever in"""


def get_folder(call: Call) -> str:
    """MS-OXWSFOLD GetFolder."""
    asked = call.request.element
    shape = read_folder_shape(child(asked, "FolderShape"))

    def answer(element: Element) -> str:
        folder = show_folder(find_folder(call, element), shape, call)
        return success("GetFolder", f"<m:Folders>{folder}</m:Folders>")

    return response("GetFolder", each(call, children(asked, "FolderIds"), answer))


def list_folders(call: Call) -> str:
    """MS-OXWSSRCH FindFolder: Shallow or Deep, indexed paging; a restriction is passed over."""
    asked = call.request.element
    shape = read_folder_shape(child(asked, "FolderShape"))
    deep = asked.get("Traversal") == "Deep"
    view = child(asked, "IndexedPageFolderView")
    offset, limit = 0, len(TREE)
    if view is not None:
        offset = number_of(view, "Offset", 0)
        limit = number_of(view, "MaxEntriesReturned", limit)

    def answer(element: Element) -> str:
        folders = find_folder(call, element).below(deep=deep)
        page = folders[offset : offset + limit]
        following = min(offset + len(page), len(folders))
        place = paging(following, len(folders), is_last=offset + limit >= len(folders))
        content = "".join(show_folder(folder, shape, call) for folder in page)
        return success("FindFolder", f"<m:RootFolder{place}><t:Folders>{content}</t:Folders></m:RootFolder>")

    return response("FindFolder", each(call, children(asked, "ParentFolderIds"), answer))


def sync_folder_hierarchy(call: Call) -> str:
    """MS-OXWSSYNC SyncFolderHierarchy: all folders below the named one (the top of the mailbox without)."""
    asked = call.request.element
    shape = read_folder_shape(child(asked, "FolderShape"))
    state = text_of(asked, "SyncState")

    def answer(element: Element | None) -> str:
        if state not in {"", HIERARCHY_STATE}:
            raise Problem("ErrorInvalidSyncStateData", "Synchronization state data is corrupt or invalid.")
        if element is None:
            folder = Folder(call.admit(call.own()), "msgfolderroot")
        else:
            folder = find_folder(call, element)
        folders = () if state else folder.below(deep=True)
        changes = "".join(f"<t:Create>{show_folder(each, shape, call)}</t:Create>" for each in folders)
        return success(
            "SyncFolderHierarchy",
            f"<m:SyncState>{HIERARCHY_STATE}</m:SyncState>"
            f"<m:IncludesLastFolderInRange>true</m:IncludesLastFolderInRange><m:Changes>{changes}</m:Changes>",
        )

    first = next(children(asked, "SyncFolderId"), None)
    return response("SyncFolderHierarchy", each(call, [first], answer))
