"""How a command ends: every error becomes a sentence and an exit code, never a traceback."""

from __future__ import annotations

import os
import secrets
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from deploy import local, output
from models.errors import AppError

FAILED = 1
WRONG_USAGE = 2
INTERRUPTED = 130


def exit_code(command: Callable[[], int]) -> int:
    """Run the command, say what went wrong if it did, and give the code to exit with."""
    import typer

    try:
        code = command()
        if code == INTERRUPTED:  # typer swallows Ctrl-C, and answers with this code
            raise KeyboardInterrupt
        return code
    except (KeyboardInterrupt, typer.Abort):
        output.error("Interrupted. What was finished is stored; nothing is half done.")
        return INTERRUPTED
    except typer.TyperException as error:
        return _wrong_usage(error)
    except AppError as error:
        output.error(error.sentence)
        return FAILED
    except BrokenPipeError:
        # `appointment360 imports list | head`: the reader has seen enough. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:  # noqa: BLE001  the last door: a person gets a sentence, the log gets the traceback
        output.error(_known(error) or _unexpected(error))
        return FAILED


def _wrong_usage(error: Exception) -> int:
    sentence = error.format_message() if hasattr(error, "format_message") else str(error)
    sentence = sentence.replace("Value error, ", "", 1)  # pydantic's words, which typer passes on
    context = getattr(error, "ctx", None)
    if context is not None and sentence == context.get_help():  # "appointment360 imports" without a word behind it
        sys.stderr.write(f"{sentence}\n\n")
        output.error("Which command? Name one of those listed by --help.")
        return WRONG_USAGE
    output.error(sentence)
    if context is not None:
        output.note(f"{context.get_usage()}\nHelp: {context.command_path} --help")
    return getattr(error, "exit_code", WRONG_USAGE)


def _known(error: Exception) -> str | None:
    """Errors of the machine rather than of the program: their own words are what helps."""
    database = sys.modules.get("sqlalchemy.exc")
    if database is not None and isinstance(error, database.OperationalError):
        words = str(error.orig).strip().splitlines()[0]
        return f"The database went away or refused: {words} What was not committed is not stored; try again."
    if isinstance(error, OSError) and error.strerror:
        place = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{place}."
    return None


def _unexpected(error: Exception) -> str:
    reference = secrets.token_hex(3).upper()
    try:
        log = local.prepared_home() / "logs" / "errors.log"
        _write(log, reference, error)
    except (OSError, AppError) as obstacle:  # a log that cannot be written must not hide the error
        traceback.print_exception(error)
        return f"Something unexpected went wrong, and it could not be logged ({obstacle}). The details are above."
    return f"Something unexpected went wrong (reference {reference}). Details are in {log}."


def _write(log: Path, reference: str, error: Exception) -> None:
    log.touch(mode=0o600)  # a traceback may quote data
    with log.open("a", encoding="utf-8") as file:
        # Only the command's name: its options may hold a password.
        now = datetime.now(UTC).isoformat(timespec="seconds")
        file.write(f"{now} reference {reference}: {' '.join(sys.argv[1:2])}\n")
        file.writelines([*traceback.format_exception(error), "\n"])
