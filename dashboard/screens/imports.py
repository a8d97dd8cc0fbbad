"""Imports."""

from dashboard import session
from dashboard.widgets import page


def show() -> None:
    session.actor()
    with page.header("Imports"):
        pass
