"""The folders every mailbox has, and how requests name and answers show them.

Only the calendar holds anything; the others exist because clients walk the tree before they find it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from presenced.sim.exchange.call import Call
from presenced.sim.exchange.ids import read_id, write_id
from presenced.sim.exchange.organisation import SimulatedMailbox
from presenced.sim.exchange.problems import Problem
from presenced.sim.exchange.soap import Element, children, escape, local, text_of

RIGHTS = (
    "<t:EffectiveRights><t:CreateAssociated>true</t:CreateAssociated>"
    "<t:CreateContents>true</t:CreateContents><t:CreateHierarchy>true</t:CreateHierarchy>"
    "<t:Delete>true</t:Delete><t:Modify>true</t:Modify><t:Read>true</t:Read>"
    "<t:ViewPrivateItems>true</t:ViewPrivateItems></t:EffectiveRights>"
)


class Kind(NamedTuple):
    """One folder of every mailbox."""

    title: str
    parent: str
    """distinguished name of the folder above; a root is its own"""
    item_class: str
    element: str = "Folder"


TREE: dict[str, Kind] = {
    "root": Kind("", "root", ""),
    "msgfolderroot": Kind("Top of Information Store", "root", "IPF.Note"),
    "searchfolders": Kind("Finder", "root", ""),
    "calendar": Kind("Calendar", "msgfolderroot", "IPF.Appointment", "CalendarFolder"),
    "contacts": Kind("Contacts", "msgfolderroot", "IPF.Contact", "ContactsFolder"),
    "deleteditems": Kind("Deleted Items", "msgfolderroot", "IPF.Note"),
    "drafts": Kind("Drafts", "msgfolderroot", "IPF.Note"),
    "inbox": Kind("Inbox", "msgfolderroot", "IPF.Note"),
    "journal": Kind("Journal", "msgfolderroot", "IPF.Journal"),
    "junkemail": Kind("Junk Email", "msgfolderroot", "IPF.Note"),
    "notes": Kind("Notes", "msgfolderroot", "IPF.StickyNote"),
    "outbox": Kind("Outbox", "msgfolderroot", "IPF.Note"),
    "sentitems": Kind("Sent Items", "msgfolderroot", "IPF.Note"),
    "tasks": Kind("Tasks", "msgfolderroot", "IPF.Task", "TasksFolder"),
}
"""by distinguished name, parents before children"""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of a mailbox."""

    mailbox: SimulatedMailbox
    name: str
    """its distinguished name"""

    @property
    def is_calendar(self) -> bool:
        """Whether it can hold anything at all."""
        return self.name == "calendar"

    @property
    def id(self) -> str:
        """As clients see it."""
        return write_id("folder", self.mailbox.address, self.name)

    @property
    def change_key(self) -> str:
        """Changes with the content of the folder."""
        return f"AQ{self.mailbox.version if self.is_calendar else 0:08d}"

    def below(self, *, deep: bool) -> list[Folder]:
        """The folders right below, or all of them."""
        found = []
        inside = {self.name}
        for name, kind in TREE.items():
            if kind.parent in inside and name != kind.parent:
                found.append(Folder(self.mailbox, name))
                if deep:
                    inside.add(name)
        return found


def find_folder(call: Call, element: Element) -> Folder:
    """The folder a FolderId or DistinguishedFolderId names; raises Problem."""
    kind = local(element)
    if kind == "DistinguishedFolderId":
        name = element.get("Id", "")
        address = text_of(element, "Mailbox", "EmailAddress")
        mailbox = call.admit(call.own()) if not address else call.open(address)
        if address and address.casefold() != mailbox.address.casefold():
            raise Problem(
                "ErrorNonPrimarySmtpAddress",
                "The primary SMTP address must be specified when referencing a mailbox.",
                {"Primary": mailbox.address},
            )
        if name not in TREE:
            raise Problem("ErrorFolderNotFound", "The specified folder could not be found in the store.")
        return Folder(mailbox, name)
    if kind == "AddressListId":
        raise Problem("ErrorFolderNotFound", "The specified folder could not be found in the store.")
    found = read_id(element.get("Id", ""))
    if found.kind != "folder" or found.name not in TREE:
        raise Problem("ErrorFolderNotFound", "The specified folder could not be found in the store.")
    return Folder(call.open(found.address), found.name)


@dataclass(frozen=True, slots=True)
class FolderShape:
    """Which properties of a folder are asked for."""

    base: str
    more: frozenset[str]
    """field URIs"""

    def asks(self, uri: str, *, default: bool = False) -> bool:
        """Whether to show this property; `default`: the Default shape has it."""
        return self.base == "AllProperties" or (default and self.base == "Default") or uri in self.more


def read_folder_shape(element: Element | None) -> FolderShape:
    """The `FolderShape` of a request; without one just ids."""
    more = frozenset(
        path.get("FieldURI", "")
        for path in children(element, "AdditionalProperties")
        if local(path) == "FieldURI"
    )
    return FolderShape(text_of(element, "BaseShape") or "IdOnly", more)


def show_folder(folder: Folder, shape: FolderShape, call: Call) -> str:
    """The folder as an element of the answer, its properties in the order of the schema."""
    kind = TREE[folder.name]
    parts = [f'<t:{kind.element}><t:FolderId Id="{folder.id}" ChangeKey="{folder.change_key}"/>']
    if shape.asks("folder:ParentFolderId"):
        parent = Folder(folder.mailbox, kind.parent)
        parts.append(f'<t:ParentFolderId Id="{parent.id}" ChangeKey="{parent.change_key}"/>')
    if shape.asks("folder:FolderClass") and kind.item_class:
        parts.append(f"<t:FolderClass>{kind.item_class}</t:FolderClass>")
    if shape.asks("folder:DisplayName", default=True):
        parts.append(f"<t:DisplayName>{escape(kind.title)}</t:DisplayName>")
    if shape.asks("folder:TotalCount", default=True):
        total = len(folder.mailbox.view(*call.horizon)) if folder.is_calendar else 0
        parts.append(f"<t:TotalCount>{total}</t:TotalCount>")
    if shape.asks("folder:ChildFolderCount", default=True):
        parts.append(f"<t:ChildFolderCount>{len(folder.below(deep=False))}</t:ChildFolderCount>")
    if shape.asks("folder:EffectiveRights"):
        parts.append(RIGHTS)
    if shape.asks("folder:DistinguishedFolderId") and call.request.at_least("Exchange2013"):
        parts.append(f"<t:DistinguishedFolderId>{folder.name}</t:DistinguishedFolderId>")
    if kind.element in {"Folder", "TasksFolder"} and shape.asks("folder:UnreadCount", default=True):
        parts.append("<t:UnreadCount>0</t:UnreadCount>")
    parts.append(f"</t:{kind.element}>")
    return "".join(parts)
