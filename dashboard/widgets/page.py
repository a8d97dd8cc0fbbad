"""The frame of every screen: its header, and what stands there when there is nothing to show."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import streamlit as st

from dashboard import session


@contextmanager
def header(title: str, note: str = "") -> Iterator[None]:
    """The title and its note on the left; the block's widgets, the screen's actions, on the right."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        with st.container(width="content", gap="xxsmall"):
            st.title(title, anchor=False)
            if note:
                st.caption(note)
        with st.container(horizontal=True, width="content", vertical_alignment="center", gap="xsmall"):
            yield


@contextmanager
def skeleton(screen: str, title: str, *heights: int) -> Iterator[Any]:
    """The place for the screen's contents; while the block reads them, the first time, grey blocks of these heights
    (pixels) stand there. They go where reading fails."""
    place = st.empty()
    if screen not in session.remembered().painted:
        session.remembered().painted.add(screen)
        with place.container():
            st.title(title, anchor=False)
            for height in heights:
                st.skeleton(height)
    try:
        yield place
    except Exception:
        place.empty()
        raise


@contextmanager
def empty(icon: str, title: str, body: str, *, colour: str = "gray", height: int | None = None) -> Iterator[None]:
    """Says what is missing, why, and what to do; the block's widgets, the way out, stand below it."""
    with st.container(border=True, height=height or "content"):
        st.space("medium")
        st.markdown(f"## :{colour}[:material/{icon}:]", text_alignment="center", anchors=False)
        st.markdown(f"**{title}**", text_alignment="center")
        st.caption(body, text_alignment="center")
        with st.container(horizontal=True, horizontal_alignment="center"):
            yield
        st.space("medium")


@contextmanager
def card(title: str, note: str = "", *, border: bool = True) -> Iterator[None]:
    """A titled card. In a bordered st.grid pass border=False: the cell draws the frame, and a row has one height."""
    with st.container(border=border, gap="small"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
            st.subheader(title, anchor=False, width="content")
            if note:
                st.caption(note, width="content")
        yield


def badge(text: str, colour: str, icon: str = "") -> str:
    """Markdown of a small coloured label; the word says what the colour means."""
    return f":{colour}-badge[{f':material/{icon}: ' if icon else ''}{text}]"


def plain(text: str) -> str:
    r"""`text` with Markdown's signs escaped, formulas' dollars too: values come from files, labels are Markdown."""
    return "".join(f"\\{sign}" if sign in r"\`*_{}[]<>()#+-!|~$:&" else sign for sign in text)


def token(name: str) -> str:
    """A theme colour by its config name, for the theme the reader is looking at."""
    mode = "dark" if st.context.theme.type == "dark" else "light"
    return st.get_option(f"theme.{mode}.{name}")
