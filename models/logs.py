"""What every process logs: one line for each event on stderr, as text for a person or as JSON for a machine.

`begin` is called where a process starts. Lines have the ids of the request, the person and the run that are bound then
(`bound`, `bind`), never a name or an address. An exception is told by its type and where it was raised: its message
only where it is one of ours, since those of others quote what somebody sent or stored.
"""

import io
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TextIO

import structlog
from psycopg import Error as DriverError
from psycopg import OperationalError as DriverOperationalError
from sqlalchemy.exc import DBAPIError

from models import outages
from models.errors import AppError, InvalidInput
from models.settings import settings

OURS = ("__main__", "models", "data_checks", "pipelines", "dashboard", "deploy")
QUIET = logging.WARNING  # from which level on others are heard: some tell whole addresses below it
MOST_FRAMES = 40  # of a stack, those nearest to the error
ADDRESS = re.compile(r"[^\s@<>\"'(),;:=/]+@[^\s@<>\"'(),;:=/]+\.\w+")
FAULTS = re.compile(r"^\s*(?:\S+: )?(?:error|fatal|panic|warning):.*$", re.MULTILINE | re.IGNORECASE)
HIDDEN = "…"
LINE = '{"time": "'  # how each of ours begins where it is JSON
DIGITS = re.compile(r"\d")
WITHIN = 60.0  # seconds in which a line that is said again is counted, and not written
MOST_COUNTED = 1000  # lines
# What a line may say beside its message and the ids that are bound.
EXTRAS = (
    "method", "route", "status", "seconds", "bytes", "person_id", "database_seconds", "statements", "flow_run_name",
    "repeated",
)  # fmt: skip

Event = MutableMapping[str, Any]


@dataclass
class _Said:
    """A line that was written: until when the same one is counted, how often it came, and how it came last."""

    until: float  # of time.monotonic()
    more: int = 0
    last: logging.LogRecord | None = None


class Stderr(logging.StreamHandler[TextIO]):
    """To the stderr of the moment, which a program may have turned elsewhere. With a name that begins with “_” Prefect
    would not see that a process logs already, and log a second time.

    What says the same again and again, such as that a server is away, is written once a minute, with how often it came.
    Lines that belong to a request, a person or a run are each written.
    """

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self._said: dict[tuple[object, ...], _Said] = {}

    def emit(self, record: logging.LogRecord) -> None:
        now, key = time.monotonic(), _repeatable(record)
        said = self._said.get(key) if key is not None else None
        if said is not None and now < said.until:
            said.more, said.last = said.more + 1, record
            return
        if said is not None and said.more:
            record.repeated = said.more + 1
        for other in [one for one, it in self._said.items() if it.until <= now]:
            before = self._said.pop(other)
            if other != key:
                self._catch_up(before)
        if key is not None and len(self._said) < MOST_COUNTED:
            self._said[key] = _Said(now + WITHIN)
        super().emit(record)

    def close(self) -> None:
        """Called where the process ends, too."""
        with suppress(Exception):
            for one in self._said.values():
                self._catch_up(one)
        self._said.clear()
        super().close()

    def _catch_up(self, said: _Said) -> None:
        if said.last is not None:
            said.last.repeated = said.more
            super().emit(said.last)

    @property
    def stream(self) -> TextIO:
        return sys.stderr.before if isinstance(sys.stderr, _Printed) else sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None: ...


def _repeatable(record: logging.LogRecord) -> tuple[object, ...] | None:
    """What makes it the same line; None where each counts."""
    if ids() or any(hasattr(record, name) for name in (*EXTRAS, "flow_run_id", "task_run_id")):
        return None
    info = record.exc_info
    message, kind = _errors_told(record).getMessage(), None
    if isinstance(info, tuple) and info[1] is not None:
        kind = info[0]
        if outages.is_lost(info[1]):  # how long it took until that was clear makes no other line
            message = DIGITS.sub("", message)
    return record.name, record.levelno, message, kind


class _Printed(io.TextIOBase):
    """In place of stdout or stderr: each line that a library prints there is an event, too."""

    def __init__(self, before: TextIO, level: int) -> None:
        self.before, self._level, self._begun = before, level, ""

    def fileno(self) -> int:
        return self.before.fileno()

    def write(self, said: str) -> int:
        *lines, self._begun = f"{self._begun}{said}".split("\n")
        for line in lines:
            if line.startswith(LINE):  # of a run of a flow, whose output a worker passes on
                self.before.write(f"{line}\n")
                self.before.flush()
            elif line.strip():
                logging.getLogger("printed").log(self._level, "%s", line.strip())
        return len(said)


class _This:
    """Of this process."""

    handler = Stderr()
    part = ""


def begin(part: str) -> None:
    """Let this process log; `part` is what it is, such as “web”. A second call changes the part only. Where a setting
    means nothing it is text from info on: whoever starts then tells which one that is."""
    _This.part = part
    root = logging.getLogger()
    if _This.handler in root.handlers:
        return
    _This.handler.setFormatter(formatter())
    root.addHandler(_This.handler)
    root.setLevel(QUIET)
    for name in OURS:
        logging.getLogger(name).setLevel(_wanted()[1].upper())
    logging.captureWarnings(True)
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _unraisable
    if sys.excepthook is sys.__excepthook__:  # else somebody else looks after what nobody caught
        sys.excepthook = _uncaught
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _uncaught_in_thread


def handler() -> Stderr:
    """The one of this process, which logs from now on: for the file that tells Prefect how to log. It reads that when
    it is loaded, which in a run of a flow is before anything of ours."""
    begin(_This.part or "flow")
    take_printed()
    return _This.handler


def take_printed() -> None:
    """Where machines read the log, let whatever this process prints from now on be lines of it, too."""
    if is_json() and not isinstance(sys.stdout, _Printed):
        logging.getLogger("printed").setLevel(logging.INFO)
        sys.stdout = _Printed(sys.stdout, logging.INFO)
        sys.stderr = _Printed(sys.stderr, logging.WARNING)


def is_json() -> bool:
    return _wanted()[0] == "json"


def take_over(*names: str) -> None:
    """Loggers that have handlers of their own log by ours, from now on and at their level."""
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def formatter() -> logging.Formatter:
    return _formatter(_json() if is_json() else _text)


def bare() -> logging.Formatter:
    """Only the message, and what an error may say: for what adds its own moment and place."""
    return _formatter(_message)


def _formatter(shown: Callable[[Any, str, Event], str]) -> logging.Formatter:
    known: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.ExtraAdder(EXTRAS),
        _about,
        _without_values,
    ]
    return _Formatter(foreign_pre_chain=known, processors=[_cleared, shown])


def _wanted() -> tuple[str, str]:
    """The format, and the level."""
    try:
        return settings().log_format, settings().log_level
    except InvalidInput:
        return "text", "info"


def bind(**ids: Any) -> None:
    """Put these on every line of this thread, or of this request, from now on; None takes one off."""
    structlog.contextvars.bind_contextvars(**{name: value for name, value in ids.items() if value is not None})
    structlog.contextvars.unbind_contextvars(*(name for name, value in ids.items() if value is None))


def ids() -> dict[str, Any]:
    """Those that are bound now."""
    return structlog.contextvars.get_contextvars()


@contextmanager
def bound(**ids: Any) -> Iterator[None]:
    """The same for as long as the block runs."""
    with structlog.contextvars.bound_contextvars(**{name: value for name, value in ids.items() if value is not None}):
        yield


def told(error: BaseException) -> str:
    """The error in a log: its type, and of its words what can be nobody's data."""
    name = type(error).__name__
    if words := _words(error):
        return f"{name}: {words}"
    return f"{name} from {told(error.__cause__)}" if error.__cause__ is not None else name


def faults(said: str) -> str:
    """Of what a program of PostgreSQL's wrote on stderr the lines that name a fault: others quote whole rows."""
    return " / ".join(one.strip() for one in FAULTS.findall(said)[-10:])


def _words(error: BaseException) -> str:
    """Without addresses of people, which a sentence of ours may have, too."""
    return ADDRESS.sub(HIDDEN, _own_words(error))


def _own_words(error: BaseException) -> str:
    match error:
        case InvalidInput():  # quotes what was given
            return ""
        case AppError() if _is_ours(error.__cause__):
            return error.noted
        case DBAPIError():
            return _own_words(error.orig) if error.orig is not None else ""
        case DriverOperationalError() if error.sqlstate is None:  # there was no connection: no row is in it
            return str(error).strip().partition("\n")[0]
        case DriverError():
            named = error.diag.constraint_name or error.diag.table_name
            return " ".join(filter(None, [error.sqlstate, named and f"({named})"]))
        case OSError():
            return error.strerror or ""
    return ""


def _is_ours(cause: BaseException | None) -> bool:
    """Whether a sentence that has this cause quotes nothing of what servers and libraries say."""
    return cause is None or isinstance(cause, AppError | OSError)


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Arguments that are errors are told as `told` does, whoever logs them."""

    def format(self, record: logging.LogRecord) -> str:
        return super().format(_errors_told(record))


def _errors_told(record: logging.LogRecord) -> logging.LogRecord:
    given = record.args
    if not isinstance(given, tuple) or not any(isinstance(one, BaseException) for one in given):
        return record
    copied = logging.makeLogRecord(record.__dict__)
    copied.args = tuple(told(one) if isinstance(one, BaseException) else one for one in given)
    return copied


def _about(_: Any, __: str, event: Event) -> Event:
    """Who logs, when, how bad it is."""
    record: logging.LogRecord = event["_record"]
    event["time"] = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z"
    event["level"], event["logger"], event["part"] = record.levelname.lower(), record.name, _This.part
    if record.name == "asyncio":  # whose further lines show objects with all that they hold
        event["event"] = str(event["event"]).partition("\n")[0]
    return event


def _without_values(_: Any, __: str, event: Event) -> Event:
    """The exception as data."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    if isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    if isinstance(info, tuple) and info[1] is not None:
        if outages.is_lost(info[1]):
            event["event"] = f"{str(event['event']).strip().rstrip(':')}: {told(info[1])}"
        else:
            event["errors"] = chain(info[1])
    return event


def chain(error: BaseException) -> list[dict[str, Any]]:
    """The error and what led to it, the last first: type, words where they are ours, frames without their values."""
    found: list[dict[str, Any]] = []
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting and len(found) < 10:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        kind = type(one)
        described: dict[str, Any] = {"type": f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")}
        if words := _words(one):
            described["message"] = words
        described["stack"] = _frames(one.__traceback__)
        found.append(described)
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
        cause = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
        if cause is not None:
            waiting.append(cause)
    return found


def _frames(trace: TracebackType | None) -> list[str]:
    frames = []
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename}:{trace.tb_lineno} {code.co_qualname}")
        trace = trace.tb_next
    return frames[-MOST_FRAMES:]


def _cleared(_: Any, __: str, event: Event) -> Event:
    """Without what the formatter added, and without addresses of people, whoever wrote them into a message."""
    for name in ("_record", "_from_structlog", "stack_info", "color_message"):
        event.pop(name, None)
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = ADDRESS.sub(HIDDEN, value)
    return event


def _json() -> Callable[[Any, str, Event], str]:
    first = ("time", "level", "part", "logger", "event")
    rendered = structlog.processors.JSONRenderer(ensure_ascii=False)

    def render(logger: Any, method: str, event: Event) -> str:
        ordered = {name: event.pop(name) for name in first if name in event} | dict(event)
        return str(rendered(logger, method, ordered))

    return render


def _text(_: Any, __: str, event: Event) -> str:
    """“2026-03-01T12:00:00.123Z WARNING models.mails: mail 12 was not sent (request_id=…)”, the stack below it."""
    head = f"{event.pop('time')} {event.pop('level').upper()} {event.pop('logger')}: {event.pop('event')}"
    errors, _part = event.pop("errors", []), event.pop("part")
    more = ", ".join(f"{name}={_plain(value)}" for name, value in event.items())
    lines = [_one_line(f"{head} ({more})" if more else head)]
    for error in errors:
        lines += [f"  {_one_line(': '.join(filter(None, [error['type'], error.get('message')])))}"]
        lines += [f"    {frame}" for frame in error["stack"]]
    return "\n".join(lines)


def _message(_: Any, __: str, event: Event) -> str:
    errors = [": ".join(filter(None, [one["type"], one.get("message")])) for one in event.get("errors", ())]
    return "\n".join([str(event["event"]), *errors])


def _plain(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _one_line(said: str) -> str:
    """Nobody who has something of theirs logged adds a line that looks like another event."""
    return said.replace("\r", "\\r").replace("\n", "\\n")


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    with suppress(Exception):
        logging.getLogger("deploy").critical("ended by an error", exc_info=(kind, error, trace))


def _unraisable(given: Any) -> None:
    """Such as an error in __del__, of which nobody hears."""
    info = (given.exc_type, given.exc_value, given.exc_traceback)
    logging.getLogger("deploy").error("%s", given.err_msg or "an error that nobody could catch", exc_info=info)


def _uncaught_in_thread(given: threading.ExceptHookArgs) -> None:
    if given.exc_value is not None and not issubclass(given.exc_type, SystemExit):
        name = given.thread.name if given.thread else "?"
        info = (given.exc_type, given.exc_value, given.exc_traceback)
        logging.getLogger("deploy").error("the thread %s ended by an error", name, exc_info=info)


def fields(of: Mapping[str, Any]) -> dict[str, Any]:
    """For `extra=`: without those that are None."""
    return {name: value for name, value in of.items() if value is not None}
