"""The frame of every screen: its header, and what stands there when nothing is to be shown or something is refused."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import streamlit as st

from dashboard import session
from models.errors import AppError

SIGNS = re.compile(r"[\\`*_{}\[\]<>()#+\-!|~$:&]|(?<=\d)\.(?=\s)")  # Markdown's, formulas' and lists'
LINKED = re.compile(r"(?i)(www(?=\.)|https?(?=:))")  # Markdown makes links of these where nothing asks for one
LINES = re.compile(r"\s*[\r\n]\s*")  # a line of === or --- would make a heading of the one above it


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
    (pixels) stand there below the title. Where reading fails they go; else the contents take their places, and have to
    be as many elements."""
    place = st.empty()
    if screen not in session.remembered().painted:
        session.remembered().painted.add(screen)
        with place.container():
            st.title(title, anchor=False)
            for height in heights:
                st.skeleton(height)
    try:
        yield place
    except Exception:  # raised on, without the skeleton that would stay above it
        place.empty()
        raise


@contextmanager
def empty(icon: str, title: str, body: str, *, colour: str = "gray", height: int | None = None) -> Iterator[None]:
    """Says what is missing, why, and what to do; the block's widgets, the way out, stand below it.

    `title` and `body` are plain text, whatever an error brings in them.
    """
    with st.container(border=True, height=height or "content"):
        st.space("medium")
        st.markdown(f"## :{colour}[:material/{icon}:]", text_alignment="center", anchors=False)
        st.markdown(f"**{plain(title)}**", text_alignment="center")
        st.caption(plain(body), text_alignment="center")
        with st.container(horizontal=True, horizontal_alignment="center"):
            yield
        st.space("medium")


@contextmanager
def refusals(*, passing: bool = False) -> Iterator[None]:
    """Where the block is refused it ends, and the error's sentence says why: here, or `passing` in a toast."""
    try:
        yield
    except AppError as error:
        refusal(error.sentence, passing=passing)


def refusal(sentence: str, *, passing: bool = False) -> None:
    """Why something was refused, in plain text."""
    show = st.toast if passing else st.error
    show(plain(sentence), icon=":material/error:")


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
    """`text` as Markdown that shows it as it stands, in one line: values come from files, labels are Markdown.

    What would become a link by itself has a joiner in it that nobody sees.
    """
    return SIGNS.sub(r"\\\g<0>", LINKED.sub("\\1\u2060", LINES.sub(" ", text)))


def token(name: str) -> str:
    """A theme colour by its config name, for the theme the reader was looking at when this run began.

    For tables and charts, which are painted once; what is styled takes `css_colour`.
    """
    mode = "dark" if st.context.theme.type == "dark" else "light"
    return st.get_option(f"theme.{mode}.{name}")


def css_colour(name: str) -> str:
    """A theme colour for a style: it changes with the theme, at once, while no script runs.

    Streamlit sets color-scheme on the page, which is what light-dark() goes by; a dialog lies outside, and has none.
    """
    light, dark = (st.get_option(f"theme.{mode}.{name}") for mode in ("light", "dark"))
    return f"light-dark({light}, {dark})"
