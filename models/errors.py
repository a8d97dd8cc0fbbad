"""Errors that a person reads. The message is the whole sentence: what happened, where, and the way out."""


class AppError(Exception):
    """Base of every error that is shown as it stands; anything else is logged and shown with a reference."""

    @property
    def sentence(self) -> str:
        return str(self.args[0]) if self.args else type(self).__name__


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
