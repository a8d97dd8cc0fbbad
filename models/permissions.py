"""Who may do what. Operations require the permission themselves; screens only ask in order to hide what is refused."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from models.errors import NotAllowed


class Permission(StrEnum):
    """The value is the words of "You may not ..."."""

    CONTACTS_READ = "see contacts"
    CONTACTS_EDIT = "edit contacts"
    CONTACTS_EXPORT = "export contacts"
    OTHERS_OVERSEE = "look after what others did"
    INDUSTRIES_MANAGE = "manage industries"
    IMPORTS_RUN = "import files"
    IMPORTS_UNDO = "undo imports"
    FOLDERS_WATCH = "set up watched folders"
    CHECKS_RUN = "run data checks"
    USERS_MANAGE = "manage users"
    CREDITS_GRANT = "grant download credits"
    PAYMENTS_BUY = "buy plans and credits"
    PAYMENTS_OVERSEE = "see everybody's payments"
    PAYMENTS_MANAGE = "refund payments and set prices"
    SETTINGS_CHANGE = "change settings"
    AUDIT_READ = "read the audit log"
    SERVER_OVERSEE = "see how the server runs"
    SERVER_MANAGE = "run and pause jobs, back up and restore"

    @property
    def scope(self) -> str:
        """Its word among a token's scopes: “contacts.read”."""
        return self.name.lower().replace("_", ".", 1)


class Role(StrEnum):
    ADMIN = "admin"
    MANAGER = "manager"
    ANALYST = "analyst"

    @property
    def label(self) -> str:
        return self.value.capitalize()

    @property
    def description(self) -> str:
        return DESCRIPTIONS[self]

    @property
    def permissions(self) -> frozenset[Permission]:
        return PERMISSIONS[self]

    @property
    def deeds(self) -> list[str]:
        """What the role may do, in words, in the order of the table "Who may what"."""
        return [words for words, needed in DEEDS.items() if needed is None or needed in self.permissions]


DESCRIPTIONS = {
    Role.ADMIN: "Manages people, limits and settings, and may do everything that a manager may.",
    Role.MANAGER: "Imports files, undoes imports, edits contacts and industries, and may do all that an analyst may.",
    Role.ANALYST: "Browses, filters and exports contacts within a download limit.",
}
_ANALYST = frozenset({Permission.CONTACTS_READ, Permission.CONTACTS_EXPORT, Permission.PAYMENTS_BUY})
_MANAGER = _ANALYST | {
    Permission.CONTACTS_EDIT,
    Permission.INDUSTRIES_MANAGE,
    Permission.IMPORTS_RUN,
    Permission.IMPORTS_UNDO,
    Permission.CHECKS_RUN,
}
PERMISSIONS = {Role.ANALYST: _ANALYST, Role.MANAGER: _MANAGER, Role.ADMIN: frozenset(Permission)}

ACCOUNT = "account"  # the scope for what everybody may do with what is their own
SCOPES: dict[str, str] = {one.scope: one.value for one in Permission} | {ACCOUNT: "look after one's own account"}

# The rows of "Who may what": what a person does, and the permission that it takes; None is everybody who is signed in.
# tests/who_may_what.py names the operations, screens and routes of each row, and holds them and the README to it.
DEEDS: dict[str, Permission | None] = {
    "See, search, count and chart contacts, and read their history": Permission.CONTACTS_READ,
    "See industries": Permission.CONTACTS_READ,
    "Export contacts and download the file": Permission.CONTACTS_EXPORT,
    "See one's own exports and receipts": Permission.CONTACTS_EXPORT,
    "See everybody's exports and receipts": Permission.OTHERS_OVERSEE,
    "Save, share and use views": Permission.CONTACTS_READ,
    "Look after views that others share": Permission.OTHERS_OVERSEE,
    "Export views by schedule": Permission.CONTACTS_EXPORT,
    "Copy the e-mail addresses or phone numbers of many contacts": Permission.CONTACTS_EXPORT,
    "Create, edit, tag and delete contacts, also many at once, and undo that": Permission.CONTACTS_EDIT,
    "See deleted contacts and restore them": Permission.CONTACTS_EDIT,
    "Undo what somebody else did to many contacts": Permission.OTHERS_OVERSEE,
    "Find, merge and un-merge duplicates": Permission.CONTACTS_EDIT,
    "Create, rename, merge and deactivate industries": Permission.INDUSTRIES_MANAGE,
    "See imports, their plans, rejects and checks": Permission.IMPORTS_RUN,
    "Import a file, and cancel an import": Permission.IMPORTS_RUN,
    "Undo an import, and undo that": Permission.IMPORTS_UNDO,
    "See watched folders, look now, pause them, and try a file again": Permission.IMPORTS_RUN,
    "Set up, change and remove watched folders": Permission.FOLDERS_WATCH,
    "See the quality of the data, of columns that one sees, and its report": Permission.CONTACTS_READ,
    "Run the data checks": Permission.CHECKS_RUN,
    "Decide which rules of data quality stop an import": Permission.SETTINGS_CHANGE,
    "See people and what they used of their credits": Permission.USERS_MANAGE,
    "Invite people, and change their role, limit and columns": Permission.USERS_MANAGE,
    "Deactivate people, end their sessions and tokens, remove a lost second factor": Permission.USERS_MANAGE,
    "Grant download credits": Permission.CREDITS_GRANT,
    "Buy credits, and start, change and cancel one's own subscription": Permission.PAYMENTS_BUY,
    "See one's own payments, subscription and invoices": None,
    "See everybody's payments, the revenue, and what Razorpay told": Permission.PAYMENTS_OVERSEE,
    "Refund payments, set prices, and apply again what Razorpay told": Permission.PAYMENTS_MANAGE,
    "Require a second factor of a role": Permission.SETTINGS_CHANGE,
    "Read the audit log, also as a file": Permission.AUDIT_READ,
    "See what runs by itself: jobs, what came of them, and when the next ones are due": Permission.SERVER_OVERSEE,
    "See how the database and what is asked of it perform, and have that mailed": Permission.SERVER_OVERSEE,
    "See the disks, what is kept for how long, and what tables want": Permission.SERVER_OVERSEE,
    "Run, cancel and retry jobs, and pause their schedules": Permission.SERVER_MANAGE,
    "See backups, and what their drills found": Permission.SERVER_OVERSEE,
    "Back up, drill and restore": Permission.SERVER_MANAGE,
    "Keep house: remove what was kept for its time, and look after tables": Permission.SERVER_MANAGE,
    "Change one's own name, e-mail, password, second factor and tokens, and end one's own sessions": None,
    "See one's own credits, and keep one's own columns, page size and drafts": None,
}


@dataclass(frozen=True)
class Actor:
    """Who acts: a signed-in person, or the operator at the machine's command line.

    `columns` holds the names of the fields and groups the person may see; None means all of them.
    """

    id: int | None
    name: str
    role: Role
    columns: frozenset[str] | None = None
    address: str | None = None
    session_id: int | None = field(default=None, compare=False)  # the same person in any of their sessions
    in_name_of: str | None = field(default=None, compare=False)
    """The person's e-mail where it is the operator who acts, with that person's rights and credits."""
    scopes: frozenset[str] | None = None
    """What a program with the person's token may do of all that the person may: names of SCOPES; None is all of it."""

    @property
    def doer_id(self) -> int | None:
        """Who did it, for whatever notes that; None is the operator."""
        return None if self.in_name_of else self.id

    def may(self, permission: Permission) -> bool:
        return permission in self.role.permissions and (self.scopes is None or permission.scope in self.scopes)


OPERATOR = Actor(None, "operator", Role.ADMIN)
NOBODY = Actor(None, "nobody", Role.ANALYST, frozenset())  # not signed in yet; may see nothing
RAZORPAY = Actor(None, "Razorpay", Role.ANALYST, frozenset())  # who tells of payments


def require(by: Actor, permission: Permission) -> None:
    """Raises NotAllowed with the permission in words and who has it."""
    if by.may(permission):
        return
    if permission in by.role.permissions:
        raise NotAllowed(f"This token may not {permission.value}: it lacks the scope “{permission.scope}”.")
    needed = f": that needs the role {' or '.join(roles)}" if (roles := holders(permission)) else ""
    raise NotAllowed(f"You may not {permission.value}{needed}.")


def require_own(by: Actor) -> None:
    """For what is one's own, which everybody may: a token with that scope only. Raises NotAllowed."""
    if by.scopes is not None and ACCOUNT not in by.scopes:
        raise NotAllowed(f"This token may not do this: it lacks the scope “{ACCOUNT}”.")


def hidden_column(title: str, name: str) -> NotAllowed:
    """The error for a field that the person may not see, whatever was asked of it."""
    return NotAllowed(f"You may not see the column {title}: an administrator can allow it.", field=name)


def hidden_check(sentence: str) -> NotAllowed:
    """The error for a rule about whole rows, of which the person sees a part."""
    return NotAllowed(f"You may not see which contacts break “{sentence}”: it looks into columns hidden from you.")


def holders(permission: Permission) -> list[str]:
    """The roles that have it, in small letters: “admin”, “manager”."""
    return [role.label.lower() for role in Role if permission in role.permissions]


def visible(names: Iterable[str], groups: dict[str, str], by: Actor) -> list[str]:
    """Those of `names` the person may see; `groups` gives each name's group."""
    if by.columns is None:
        return list(names)
    return [name for name in names if name in by.columns or groups[name] in by.columns]
