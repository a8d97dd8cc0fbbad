"""A report as one page of plain text, at most 78 columns wide: for a message, and for the command line."""

import textwrap
from collections.abc import Iterable, Iterator
from datetime import UTC

from models.performance.shapes import Cause, Report, Statement, Table

WIDTH = 78
LINES = 6  # of a part
FEW = 3
LEAST_DAYS = 0.5  # between two sizes that are compared


def page(report: Report) -> str:
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    of = report.server
    hit = "" if of.cache_hit is None else f", {of.cache_hit:.1%} of what is read is in memory"
    yield from _wrapped(
        f"The database has {size(of.database_bytes)}{hit}, {of.connections} of {of.most_connections} connections are "
        f"in use. {span(report)}"
    )
    yield from _findings(report)
    yield from _part("Slowest statements, by their sum", (_statement(one) for one in report.statements[:LINES]))
    yield from _part("Slowest statements, on average", (_statement(one) for one in report.by_mean[:FEW]))
    yield from _part("What took the time", (_cause(one) for one in report.causes[:LINES]))
    yield from _part(
        "Slowest operations: half of them within, 99 of 100 within",
        (f"{one.p50_ms:>8,.0f} ms {one.p99_ms:>8,.0f} ms  {one.kind} {one.operation}, {one.times:,}x"
         for one in sorted(report.operations, key=lambda one: -one.p99_ms)[:LINES]),
    )  # fmt: skip
    yield from _part(
        "Largest tables, with indexes",
        (f"{size(one.bytes + one.index_bytes):>10}  {one.name}, {one.rows:,} rows{_grown(one)}"
         for one in report.tables[:LINES]),
    )  # fmt: skip
    yield from _part(
        "Imports and exports",
        (f"{one.rows_per_second or 0:>8,.0f} rows/s  {one.runs} {one.what}, {one.rows:,} rows"
         f"{f' ({one.before:,.0f} rows/s the week before)' if one.before else ''}" for one in report.speeds),
    )  # fmt: skip
    yield from _part(
        "Flows",
        (f"{one.mean:>8,.1f} s  {one.flow}, {one.runs}x{f', {one.failed} failed' if one.failed else ''}"
         for one in report.flows[:LINES]),
    )  # fmt: skip
    yield from _part(
        "Open transactions",
        (f"{one.seconds / 60:>8,.0f} min  {one.program} ({one.state}), process {one.pid}"
         for one in report.transactions[:LINES]),
    )  # fmt: skip
    for note in report.notes:
        yield ""
        yield from _wrapped(note)


def span(report: Report) -> str:
    """What its sums are of, as a sentence."""
    since = report.statements_since
    counted = f", those of statements since {since.astimezone(UTC):%d %b, %H:%M} UTC" if since else ""
    return f"Sums are of the last {report.days:.0f} days{counted}."


def _findings(report: Report) -> Iterator[str]:
    yield ""
    yield f"Findings: {len(report.findings) or 'none'}"
    for number, one in enumerate(report.findings, 1):
        yield from _wrapped(f"{number}. {one.kind.capitalize()}: {one.subject}. {one.sentence}", "   ")
        for more in (one.suggestion, one.tried):
            if more:
                yield from _wrapped(f"   {more}", "   ")
        if one.sql:
            yield from _wrapped(f"   {one.sql};", "   ")


def _part(title: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield ""
        yield title
        yield from (cut(line) for line in found)


def _statement(one: Statement) -> str:
    change = f", {one.before_ms:,.1f} before" if one.before_ms is not None else ""
    cause = f" [{one.causes[0].operation}]" if one.causes else ""
    return f"{one.seconds:>8,.1f} s  {one.mean_ms:,.1f} ms{change}, {one.calls:,}x{cause}  {' '.join(one.text.split())}"


def _cause(one: Cause) -> str:
    return f"{one.seconds:>8,.1f} s  {who(one)}, {one.times:,}x"


def who(one: Cause) -> str:
    """“screen contacts, view Germans, Ann Archer”."""
    view = f", view {one.view}" if one.view else ""
    return f"{one.kind} {one.operation}{view}{f', {one.person}' if one.person else ''}"


def size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def cut(line: str) -> str:
    return line if len(line) <= WIDTH else line[: WIDTH - 1].rstrip() + "…"


def _grown(one: Table) -> str:
    """Nothing while there is no older report worth the name."""
    if not one.grown or not one.grown_days or one.grown_days < LEAST_DAYS:
        return ""
    days = round(one.grown_days)
    return f", {'+' if one.grown > 0 else ''}{size(one.grown)} in {days} day{'' if days == 1 else 's'}"


def _wrapped(line: str, indent: str = "") -> list[str]:
    return textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_on_hyphens=False)
