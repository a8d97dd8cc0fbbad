"""The process that has Great Expectations loaded and checks tables for others, once or for as long as it is wanted.

The warm checker forks for each gate that calls: checks run side by side, what one takes of memory ends with it, and
what breaks one breaks no other. The process that forks has no connections and no threads, so nothing is shared.
"""

import gc
import os
import select
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from pathlib import Path
from types import FrameType
from typing import BinaryIO

from data_checks import messages, quick_import
from models import logs
from models.errors import AppError, Conflict

LOOKS_AFTER = 1.0  # seconds between two looks for forks that ended
CALLERS_WAITING = 16


def once() -> int:
    """Load the library at once, answer one request from standard input on standard output, end."""
    with _own_output() as output:
        quick_import.load_checks()
        logs.begin("checker")
        # Nothing comes when the gate was closed, or its process ended: then there is nothing to do.
        if line := sys.stdin.buffer.readline():
            output.write(_answered(line))
    return 0


def serve(home: Path) -> int:
    """Answer requests at `home`'s socket until SIGTERM or SIGINT, then 0. Raises Conflict where one listens already."""
    path, secret = messages.address(home), messages.made_key(home)
    _refuse_a_second(path)
    quick_import.load_checks()
    logs.begin("checker")
    logs.take_printed()
    gc.collect()
    gc.freeze()  # a collection in a fork would touch, and so copy, all of the memory it shares with this process
    forks: set[int] = set()
    with _told_to_end() as ending, _listening(path) as listener:
        mine = path.stat().st_ino
        try:
            while ending not in (ready := select.select([listener, ending], [], [], LOOKS_AFTER)[0]):
                _reap(forks)
                if listener in ready:
                    forks.add(_forked(listener, secret))
        finally:
            with suppress(FileNotFoundError):
                if path.stat().st_ino == mine:
                    path.unlink()
            for fork in forks:
                with suppress(ProcessLookupError):
                    os.kill(fork, signal.SIGTERM)
    return 0


def _answered(line: bytes) -> bytes:
    import data_checks.run  # loaded by now; at the top it would cost whoever only imports this module seconds

    run = data_checks.run
    try:
        url, table, schema = messages.read_request(line)
        return messages.answer(run.check_everything(url) if table is None else run.check_table(url, table, schema))
    except AppError as error:
        return messages.refusal(error)


def _own_output() -> BinaryIO:
    """Standard output for the answer alone: whatever a library prints goes to standard error."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return output


def _listening(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    try:
        _refuse_a_second(path)
        with suppress(FileNotFoundError):
            path.unlink()
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(CALLERS_WAITING)
    except BaseException:
        listener.close()
        raise
    return listener


def _refuse_a_second(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as caller:
        try:
            caller.connect(str(path))
        except OSError:  # no file, or one that a killed checker left
            return
    raise Conflict(f"A checker is running already: it answers at {path}.")


@contextmanager
def _told_to_end() -> Iterator[socket.socket]:
    """A socket that can be read once the process is to end.

    A handler that raised SystemExit would be lost where the signal comes while a library runs its hooks of a fork:
    what is raised there is printed and forgotten.
    """
    ending, teller = socket.socketpair()
    teller.setblocking(False)
    with ending, teller:
        signal.set_wakeup_fd(teller.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _noted)
        yield ending


def _noted(number: int, frame: FrameType | None) -> None:
    """Nothing is left to do: the interpreter wrote the signal's number to the wakeup descriptor."""


def _reap(forks: set[int]) -> None:
    for fork in list(forks):
        if os.waitpid(fork, os.WNOHANG)[0]:
            forks.discard(fork)


def _forked(listener: socket.socket, secret: bytes) -> int:
    """Accept a caller and leave it to a fork, whose number is returned."""
    caller, _ = listener.accept()
    fork = os.fork()
    if fork:
        caller.close()
        return fork
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        listener.close()
        _converse(Connection(caller.detach()), secret)
        status = 0
    except (EOFError, OSError, AuthenticationError):
        status = 0  # the caller went away, or was none of ours
    except BaseException as error:  # noqa: BLE001  # a fork must not run on into its parent's loop, whatever happens
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        sys.stderr.flush()
        os._exit(status)


def _converse(caller: "Connection[bytes, bytes]", secret: bytes) -> None:
    deliver_challenge(caller, secret)
    answer_challenge(caller, secret)
    caller.send_bytes(_answered(caller.recv_bytes()))
