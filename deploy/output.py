"""What the command line prints: one JSON object for programs; tables, sentences and progress for people.

Results go to stdout, progress and errors to stderr. With `--json` everything else that writes to stdout, a library's
banner included, is turned to stderr, so that a program reads exactly one object.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TextIO

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from rich.console import Console, RenderableType

PIPED_WIDTH = 400  # columns: a program or a file gets each row on one line
SECONDS_BETWEEN_LINES = 5.0
CUT_WIDTH = 12  # of a column that ends with "…"
GAP = 3  # between two columns


class Progress(Protocol):
    """What long operations call with how much is done, of how much where that is known, in rows, bytes, or as a
    share of the whole."""

    def __call__(self, step: str, done: int, total: int | None, unit: str = "rows", /) -> None: ...


class Mode:
    """How this run prints: `json_to` is the real stdout while `--json` holds it back."""

    json_to: int | None = None


def use_json() -> None:
    """Keep stdout for the one object; whatever else is printed goes to stderr."""
    sys.stdout.flush()
    Mode.json_to = os.dup(1)
    os.dup2(2, 1)


def is_json() -> bool:
    return Mode.json_to is not None


def answer(found: Mapping[str, Any]) -> None:
    """Print the one JSON object of this run."""
    text = json.dumps(found, ensure_ascii=False, default=_in_json) + "\n"
    sys.stdout.flush()
    with open(1 if Mode.json_to is None else Mode.json_to, "w", encoding="utf-8", closefd=False) as stdout:
        stdout.write(text)


def _in_json(value: object) -> str:
    """Moments and days as ISO 8601 writes them, everything else as its own text."""
    from datetime import date

    return value.isoformat() if isinstance(value, date) else str(value)


def answer_or_say(found: Mapping[str, Any], sentence: str) -> None:
    """The object for programs, the sentence for people."""
    if is_json():
        answer(found)
    else:
        say(sentence)


def error(sentence: str) -> None:
    """The sentence a person reads; with --json also as the object."""
    if is_json():
        answer({"error": sentence})
    _line(sys.stderr, sentence, prefix=("Error: ", "bold red"))


def say(sentence: str, *, style: str = "") -> None:
    """A line of the result for people; nothing with --json."""
    if not is_json():
        _line(sys.stdout, sentence, style=style)


def note(sentence: str) -> None:
    """A line beside the result, on stderr."""
    _line(sys.stderr, sentence, style="dim")


def _line(stream: TextIO, sentence: str, *, style: str = "", prefix: tuple[str, str] = ("", "")) -> None:
    if not stream.isatty():  # without rich, whose import takes as long as a short command
        print(prefix[0] + sentence, file=stream, flush=True)
        return
    from rich.text import Text

    _console(stderr=stream is sys.stderr).print(Text.assemble(prefix, (sentence, style)))


def show(renderable: RenderableType) -> None:
    """Something of rich's, for people."""
    if is_json():
        return
    if sys.stdout.isatty():
        _console().print(renderable)
        return
    console = _console()
    with console.capture() as captured:
        console.print(renderable)
    for line in captured.get().splitlines():
        print(line.rstrip(), flush=True)


def boxed(title: str, lines: Sequence[str]) -> None:
    """Lines that must not be overlooked."""
    if not sys.stdout.isatty():
        for line in (title, *lines):
            say(line)
        return
    from rich.panel import Panel
    from rich.text import Text

    show(Panel(Text("\n".join(lines)), title=title, expand=False, padding=(1, 3)))


def table(
    headers: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    numbers: Iterable[str] = (),
    cut: Iterable[str] = (),
    spare: Iterable[str] = (),
) -> None:
    """Rows under headers; the columns in `numbers` are aligned right and keep their width. Where the terminal is too
    narrow the others are wrapped, and those in `cut` end with "…"; where words would break, those in `spare` are left
    out, the first first, which is said."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    cells_of = [list(row) for row in rows]
    lines = [[shown(cell) for cell in row] for row in cells_of]
    right, short = set(numbers), set(cut)
    widths = _widths(headers, lines, whole=right, cut=short, spare=list(spare))
    rendered = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False, header_style="bold")
    for header, width in widths.items():
        if header in right:
            rendered.add_column(header, justify="right", no_wrap=True)
        else:
            rendered.add_column(header, overflow="fold", width=width)
    for line in lines:
        cells = {header: Text(cell) for header, cell in zip(headers, line, strict=True)}
        for header in short:  # not the column: it would then take from the numbers' width
            cells[header].no_wrap, cells[header].overflow = True, "ellipsis"
        rendered.add_row(*(cells[header] for header in widths))
    show(rendered)
    if any(hasattr(cell, "tzinfo") and cell.tzinfo is not None for row in cells_of for cell in row):
        note(f"Times are in {own_zone()}, as this machine has it.")
    if left_out := [header for header in headers if header not in widths]:
        note(f"Left out, as the terminal is narrow: {', '.join(left_out)}. --json has everything.")


def _widths(
    headers: Sequence[str], lines: Sequence[Sequence[str]], *, whole: set[str], cut: set[str], spare: list[str]
) -> dict[str, int | None]:
    """The columns that fit without breaking a word, and their widths; None is as rich sees fit."""
    full = {header: max(map(len, (header, *cells))) for header, *cells in zip(headers, *lines, strict=True)}
    least = dict(full)
    for header, *cells in zip(headers, *lines, strict=True):
        if header in cut:
            least[header] = min(full[header], CUT_WIDTH)
        elif header not in whole:
            least[header] = max(len(word) for cell in (header, *cells) for word in cell.split())
    room = _console().width
    while spare and sum(least.values()) + GAP * len(least) > room:
        least.pop(spare.pop(0))
    if sum(full[header] for header in least) + GAP * len(least) <= room:
        return dict.fromkeys(least)
    left = room - sum(least.values()) - GAP * len(least)
    if left < 0:
        return dict.fromkeys(least)
    for header in sorted(least, key=lambda one: full[one] - least[one]):  # what lacks little is made whole first
        more = min(left, full[header] - least[header])
        least[header], left = least[header] + more, left - more
    return dict(least)


def shown(value: object) -> str:
    """A value as people read it: `20,000`, `22 Nov 2026, 15:40`; missing is `–`."""
    from datetime import datetime

    match value:
        case None | "":
            return "–"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case datetime():
            return moment(value)
        case list() | tuple():
            return ", ".join(map(str, value))
    return str(value)


def moment(value: datetime | None, zone: tzinfo | None = None) -> str:
    """`22 Nov 2026, 15:40` in that time zone, or in the machine's."""
    return "–" if value is None else value.astimezone(zone).strftime("%-d %b %Y, %H:%M")


def own_zone() -> str:
    """What the machine's time zone is called now, as in `CET`."""
    from datetime import datetime

    return datetime.now().astimezone().tzname() or "local time"


def counted(number: int, noun: str) -> str:
    """`1 contact`, `20,000 contacts`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def bytes_shown(number: int) -> str:
    size = float(number)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"


def confirmed(question: str) -> bool:
    """Ask on the terminal. Raises typer.Abort at Ctrl-C or the end of input."""
    import typer

    return typer.confirm(question, err=True)


def asks() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not is_json()


@contextmanager
def progress() -> Iterator[Progress]:
    """A function that the long operations call; it draws a bar on a terminal, else writes a line now and then."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<8}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[numbers]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=_console(stderr=True)) as bars:
        yield _bars(bars)


def _bars(bars: Any) -> Progress:
    tasks: dict[str, Any] = {}
    begun: dict[str, float] = {}

    def report(step: str, done: int, total: int | None, unit: str = "rows", /) -> None:
        if step not in tasks:
            for earlier in tasks.values():
                bars.update(earlier, total=1, completed=1)
            tasks[step] = bars.add_task(step, total=None, numbers="")
            begun[step] = time.monotonic()
        numbers = _numbers(done, total, time.monotonic() - begun[step], unit)
        bars.update(tasks[step], completed=done, total=total or None, numbers=numbers)

    return report


def _lines() -> Progress:
    written: dict[str, float] = {}
    begun: dict[str, float] = {}

    def report(step: str, done: int, total: int | None, unit: str = "rows", /) -> None:
        now = time.monotonic()
        begun.setdefault(step, now)
        if step in written and now - written[step] < SECONDS_BETWEEN_LINES:
            return
        written[step] = now
        note(f"{step} {_numbers(done, total, now - begun[step], unit)}".strip())

    return report


def _numbers(done: int, total: int | None, seconds: float, unit: str) -> str:
    if not done:
        return ""
    if unit == "share":
        return f"{done / total:.0%}" if total else ""
    shown = bytes_shown if unit == "bytes" else "{:,.0f}".format
    named = "" if unit == "bytes" else f" {unit}"
    so_far = f"{shown(done)} of {shown(total)}{named}" if total else f"{shown(done)}{named}"
    return f"{so_far}, {shown(round(done / seconds))}/s" if seconds > 0.5 else so_far


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPED_WIDTH
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)
