"""The screens by name: what the navigation shows, and where a screen sends a person."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import streamlit as st

Params = dict[str, str | list[str]]


@dataclass(frozen=True)
class Place:
    """`path` is the place's own part of the address; None stands for the start page."""

    title: str
    icon: str
    path: str | None
    hidden: bool = False


PLACES = {
    "overview": Place("Overview", "monitoring", None),
    "contacts": Place("Contacts", "contacts", "contacts"),
    "contact": Place("Contact", "person", "contact", hidden=True),
    "deleted": Place("Deleted contacts", "auto_delete", "deleted", hidden=True),
    "imports": Place("Imports", "upload_file", "imports"),
    "exports": Place("Exports", "download", "exports"),
    "industries": Place("Industries", "category", "industries"),
    "profile": Place("Profile", "account_circle", "profile", hidden=True),
}


def page(name: str) -> st.Page:
    """The screen's page: Streamlit takes two of one address for the same."""
    place = PLACES[name]
    return st.Page(
        _show(name),
        title=place.title,
        icon=f":material/{place.icon}:",
        url_path=place.path,
        default=place.path is None,
        visibility="hidden" if place.hidden else "visible",
    )


def go(name: str, params: Params | None = None) -> NoReturn:
    """Leave for that screen, with these parameters in its address."""
    st.switch_page(page(name), query_params=params or {})


def path(name: str) -> str:
    """The screen's address on this host, for links."""
    return f"/{PLACES[name].path or ''}"


def _show(name: str) -> Callable[[], None]:
    def show() -> None:
        importlib.import_module(f"dashboard.screens.{name}").show()

    show.__name__ = name
    return show
