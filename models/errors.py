"""Errors that a person reads. The message is the whole sentence: what happened, where, and the way out."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any


class AppError(Exception):
    """Base of every error that is shown as it stands; anything else is logged and shown with a reference.

    `field` is what the sentence is about by the name that a program gave it: a parameter, a column, a part of a body.
    """

    def __init__(self, *told: object, field: str | None = None) -> None:
        self.field = field
        super().__init__(*told)

    @property
    def sentence(self) -> str:
        return str(self.args[0]) if self.args else type(self).__name__

    @property
    def noted(self) -> str:
        """The sentence as it is written down, where people read it who may see less than whoever was refused."""
        return self.sentence


@contextmanager
def about(field: str) -> Iterator[None]:
    """What is refused within is about `field`, whatever the operation that refuses it calls it."""
    try:
        yield
    except AppError as error:
        error.field = field
        raise


class NotFound(AppError):
    """The thing asked for does not exist, or the person may not see it."""


class NotAllowed(AppError):
    """The person lacks the permission; the sentence names it."""


class InvalidInput(AppError):
    """A value given by a person or a program does not fit; the sentence names the field and what would fit."""


class Conflict(AppError):
    """The stored data moved since it was read, or is in a state in which the operation makes no sense."""


class Unavailable(AppError):
    """Something outside the program is missing or down: the database, the disk, a server."""


class InvalidValues(InvalidInput):
    """A form was refused: `problems` gives each field's sentence; under `FORM` stands what concerns all of it."""

    FORM = ""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        super().__init__(" ".join(self.problems.values()))


class RefusedItems(InvalidInput):
    """Some of many things that were asked for at once do not fit, and none was done: `problems` gives, by the place of
    each from 0, the error that it alone would have met."""

    def __init__(self, problems: Mapping[int, AppError], *, of: int) -> None:
        self.problems = dict(sorted(problems.items()))
        place, error = next(iter(self.problems.items()))
        many = f"{len(self.problems):,} of {of:,} cannot be done, and nothing was written."
        super().__init__(f"{many} Number {place}, from 0: {error.sentence}")


class Gone(NotFound):
    """The contact existed and was deleted, at that moment; by whom is None where the person may not read it. `into` is
    the contact that it was merged into, if it was."""

    def __init__(self, sentence: str, *, at: datetime, by_name: str | None, into: int | None = None) -> None:
        self.at, self.by_name, self.into = at, by_name, into
        super().__init__(sentence)


class AlreadyThere(Conflict):
    """A contact that can be no other is stored already: `contact_id`, whom people call `label`."""

    def __init__(self, sentence: str, *, contact_id: int, label: str) -> None:
        self.contact_id, self.label = contact_id, label
        super().__init__(sentence)


class ChangedMeanwhile(Conflict):
    """Somebody else wrote since it was read: `fields` gives their values, `version` is what stands now."""

    def __init__(self, sentence: str, *, fields: Mapping[str, Any], by_name: str, at: datetime, version: int) -> None:
        self.fields, self.by_name, self.at, self.version = dict(fields), by_name, at, version
        super().__init__(sentence)


class TooMany(AppError):
    """Asked too often: after `seconds` it is worth trying again."""

    def __init__(self, sentence: str, *, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(sentence)


class TooSlow(AppError):
    """An answer took longer than people wait for one, and was stopped."""

    def __init__(self, *, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(
            f"The search took longer than {seconds} seconds and was stopped: narrow it with a filter, or try again."
        )


class NotEnoughCredits(NotAllowed):
    """It would take `cost` credits, and the person has `monthly` of them `until` that day, and `lasting` ones."""

    def __init__(self, cost: int, *, monthly: int, lasting: int, until: date) -> None:
        self.cost, self.monthly, self.lasting, self.until = cost, monthly, lasting, until
        super().__init__(
            f"This would take {cost:,} {'credit' if cost == 1 else 'credits'}; you have "
            f"{credits_left(monthly, lasting, until)}. Narrow the filter, buy a pack under Plans, or "
            "ask an administrator for more."
        )


def credits_left(monthly: int, lasting: int, until: date) -> str:
    """“310 until 1 December”, or “400: 310 until 1 December, 90 that last”."""
    ending = f"{f'{monthly:,}' if monthly else 'none left'} until {until.day} {until:%B}"
    return f"{monthly + lasting:,}: {ending}, {lasting:,} that last" if lasting else ending
