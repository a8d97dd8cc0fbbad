"""How long commands take, beside what people and programs ask of the web: by their names, nothing of what follows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typer import Typer

ALWAYS_UP = "up"  # it ends when the machine does


class Command:
    """The one that this process carries out; None where it is no command line."""

    name: str | None = None


def carries_out(app: Typer, arguments: Sequence[str]) -> None:
    Command.name = name_of(app, arguments)


def name_of(app: Typer, arguments: Sequence[str]) -> str | None:
    """“imports list”; None where the arguments name no command."""
    words: list[str] = []
    place: Typer | None = app
    for word in arguments:
        if place is None:
            break
        groups = {one.name: one.typer_instance for one in place.registered_groups}
        if word in groups:
            words.append(word)
            place = groups[word]
        elif word in _commands(place):
            words.append(word)
            place = None
    return " ".join(words) or None


@contextmanager
def timed() -> Iterator[None]:
    """Time the block, in which the database is bound, as this process's command."""
    if Command.name in (None, ALWAYS_UP):
        yield
        return
    from models import timings

    with timings.keeping(), timings.timed("command", str(Command.name)):
        yield


def _commands(place: Typer) -> set[str]:
    functions = ((one.name, getattr(one.callback, "__name__", "")) for one in place.registered_commands)
    return {name or function.replace("_", "-") for name, function in functions}
