"""The screens by name: what the navigation shows, who may see it, and where a screen sends a person."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import streamlit as st

from dashboard import session
from dashboard.widgets import page as frame
from models import timings
from models.filters import visible_fields
from models.permissions import Actor, Permission, holders

LONGEST_ID = 10  # digits
Params = dict[str, str | list[str]]


@dataclass(frozen=True)
class Place:
    """`path` is the place's own part of the address; None stands for the start page. Who lacks the permission does not
    find it in the navigation, and is refused at its address; its operations refuse them, too."""

    title: str
    icon: str
    path: str | None
    permission: Permission | None  # None: it is everybody’s own
    hidden: bool = False
    whole: bool = False  # it is about all columns: likewise for who does not see them all
    field: str | None = None  # it is about: whoever does not see that finds the place no more in the navigation


PLACES = {
    "overview": Place("Overview", "monitoring", None, Permission.CONTACTS_READ),
    "contacts": Place("Contacts", "contacts", "contacts", Permission.CONTACTS_READ),
    "views": Place("Views", "bookmarks", "views", Permission.CONTACTS_READ),
    "contact": Place("Contact", "person", "contact", Permission.CONTACTS_READ, hidden=True),
    "deleted": Place("Deleted contacts", "auto_delete", "deleted", Permission.CONTACTS_EDIT, hidden=True),
    "difference": Place("Difference", "difference", "difference", Permission.CONTACTS_READ, hidden=True),
    "imports": Place("Imports", "upload_file", "imports", Permission.IMPORTS_RUN),
    "mappings": Place("Mappings", "rule", "mappings", Permission.IMPORTS_RUN, hidden=True),
    "watched": Place("Watched folders", "folder_eye", "watched", Permission.IMPORTS_RUN, hidden=True),
    "exports": Place("Exports", "download", "exports", Permission.CONTACTS_EXPORT),
    "duplicates": Place("Duplicates", "join_inner", "duplicates", Permission.CONTACTS_EDIT, whole=True),
    "quality": Place("Data quality", "fact_check", "quality", Permission.CONTACTS_READ),
    "industries": Place("Industries", "category", "industries", Permission.CONTACTS_READ, field="industry"),
    "plans": Place("Plans", "toll", "plans", Permission.PAYMENTS_BUY),
    "payments": Place("Payments", "payments", "payments", Permission.PAYMENTS_OVERSEE),
    "users": Place("People", "group", "users", Permission.USERS_MANAGE),
    "performance": Place("Performance", "speed", "performance", Permission.SERVER_OVERSEE),
    "audit": Place("Audit log", "history", "audit", Permission.AUDIT_READ),
    "backups": Place("Backups", "backup", "backups", Permission.SERVER_OVERSEE),
    "housekeeping": Place("Housekeeping", "cleaning_services", "housekeeping", Permission.SERVER_OVERSEE),
    "jobs": Place("Jobs", "schedule", "jobs", Permission.SERVER_OVERSEE),
    "profile": Place("Profile", "account_circle", "profile", None, hidden=True),
}


def page(name: str, by: Actor | None = None) -> st.Page:
    """The screen's page, as the navigation has it for `by`: Streamlit takes two of one address for the same."""
    place = PLACES[name]
    shown = not place.hidden and (by is None or (_may(by, place) and _sees(by, place)))
    return st.Page(
        _show(name),
        title=place.title,
        icon=f":material/{place.icon}:",
        url_path=place.path,
        default=place.path is None,
        visibility="visible" if shown else "hidden",
    )


def go(name: str, params: Params | None = None) -> NoReturn:
    """Leave for that screen, with these parameters in its address."""
    st.switch_page(page(name), query_params=params or {})


def path(name: str) -> str:
    """The screen's address on this host, for links."""
    return f"/{PLACES[name].path or ''}"


def _show(name: str) -> Callable[[], None]:
    def show() -> None:
        if not _may(session.actor(), PLACES[name]):
            _refuse(PLACES[name])
            return
        with timings.timed("screen", name, user_id=session.actor().id, view_id=_view()):
            importlib.import_module(f"dashboard.screens.{name}").show()

    show.__name__ = name
    return show


def _view() -> int | None:
    """The number of the saved view that the address names."""
    named = st.query_params.get("view", "")
    return int(named) if named.isdecimal() and len(named) < LONGEST_ID else None


def _may(by: Actor, place: Place) -> bool:
    return place.permission is None or by.may(place.permission)


def _sees(by: Actor, place: Place) -> bool:
    if place.whole and by.columns is not None:
        return False
    return place.field is None or place.field in visible_fields(by)


def _refuse(place: Place) -> None:
    assert place.permission is not None
    with frame.header(place.title):
        pass
    able = " and ".join(f"{role}s" for role in holders(place.permission))
    body = f"The {able} may: ask one of them, or have your role changed."
    with frame.empty("lock", f"You may not {place.permission.value}", body):
        pass
