"""A report as one HTML file that needs nothing else: its styles and pictures are in it, and it runs no script."""

from collections.abc import Iterable, Sequence
from html import escape

from models.performance.reports import Made
from models.performance.shapes import Hour, PerformanceFinding, Report, Statement
from models.performance.texts import size, span, who

STYLE = """
:root { color-scheme: light dark; --text: #13151a; --calm: #5a606c; --line: #dcdfe5; --page: #fff; --bar: #3b55d9 }
@media (prefers-color-scheme: dark) {
  :root { --text: #e7e8ec; --calm: #a9afbc; --line: #2c2f37; --page: #111216; --bar: #8c9cfa } }
body { font: 14px/1.45 Inter, system-ui, sans-serif; color: var(--text); background: var(--page);
  max-width: 1080px; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem }
p { margin: .25rem 0 } .calm { color: var(--calm) }
table { border-collapse: collapse; width: 100% } td, th { padding: .3rem .5rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line) } .number { text-align: right; white-space: nowrap }
code { font: 12px/1.4 ui-monospace, monospace; overflow-wrap: anywhere }
article { border: 1px solid var(--line); border-radius: 6px; padding: .75rem 1rem; margin: .5rem 0 }
.wide { overflow-x: auto }
svg text { fill: var(--calm); font-size: 11px } svg rect { fill: var(--bar) }
"""
CHART = 720, 120  # pixels
Rows = Iterable[Sequence[object]]


def page(made: Made) -> str:
    """The whole file."""
    report = made.report
    parts = [
        f"<h1>Performance</h1><p class=calm>Made {made.made_at:%d %b %Y, %H:%M} UTC. {escape(span(report))}"
        f" {_server(report)}</p>",
        f"<h2>Findings: {len(report.findings) or 'none'}</h2>", *map(_finding, report.findings),
        _waited(report.hours),
        "<h2>Slowest statements, by their sum</h2>", _statements(report.statements),
        "<h2>Slowest statements, on average</h2>", _statements(report.by_mean),
        "<h2>What took the time</h2>",
        _table(["Seconds", "Times", "Who and what"],
               ((f"{one.seconds:,.1f}", f"{one.times:,}", who(one)) for one in report.causes), 2),
        "<h2>Screens, routes and commands</h2>",
        _table(["p50, ms", "p99, ms", "Slowest, ms", "Times", "Failed", "Statements each", "Operation"],
               ((f"{one.p50_ms:,.0f}", f"{one.p99_ms:,.0f}", f"{one.slowest_ms:,.0f}", f"{one.times:,}",
                 f"{one.failed:,}", f"{one.statements:,.1f}", f"{one.kind} {one.operation}")
                for one in report.operations), 6),
        "<h2>Single ones that took long</h2>",
        _table(["Seconds", "In statements", "When", "What", "Who"],
               ((f"{one.seconds:,.1f}", f"{one.statement_seconds:,.1f}", f"{one.at:%d %b %H:%M}",
                 f"{one.kind} {one.operation}{f', view {one.view}' if one.view else ''}", one.person or "–")
                for one in report.slow), 2),
        "<h2>Tables</h2>",
        _table(["Size", "Indexes", "Grown", "Rows", "Holds nothing", "Table"],
               ((size(one.bytes), size(one.index_bytes), "–" if one.grown is None else size(one.grown),
                 f"{one.rows:,}", "–" if one.bloat is None else size(one.bloat), one.name)
                for one in report.tables), 5),
        f"<p class=calm>What holds nothing: {escape(report.bloat_source)}.</p>",
        "<h2>Indexes</h2>",
        _table(["Size", "Read", "Index", "Table"],
               ((size(one.bytes), f"{one.scans:,}", one.name, one.table) for one in report.indexes), 2),
        "<h2>Imports, exports and flows</h2>",
        _table(["Rows a second", "The week before", "Rows", "Runs", "What"],
               ((_number(one.rows_per_second), _number(one.before), f"{one.rows:,}", one.runs, one.what)
                for one in report.speeds), 4),
        _table(["Seconds", "The week before", "Slowest", "Runs", "Failed", "Flow"],
               ((f"{one.mean:,.1f}", _number(one.before), f"{one.slowest:,.1f}", one.runs, one.failed, one.flow)
                for one in report.flows), 5),
        _table(["Open for, s", "Process", "Program", "State"],
               ((f"{one.seconds:,.0f}", one.pid, one.program, one.state) for one in report.transactions), 2),
        *(f"<p class=calm>{escape(note)}</p>" for note in report.notes),
    ]  # fmt: skip
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>{STYLE}</style>'
    return (
        f'<!doctype html><html lang="en"><head><title>Performance, {made.made_at:%Y-%m-%d}</title>{head}</head><body>'
        f"<main>{''.join(parts)}</main></body></html>"
    )


def _server(report: Report) -> str:
    of = report.server
    hit = "" if of.cache_hit is None else f" {of.cache_hit:.1%} of what is read is in memory;"
    return (
        f"PostgreSQL {escape(of.version)}, {size(of.database_bytes)};{hit} {of.connections} of {of.most_connections}"
        f" connections, {of.idle_in_transaction} of them idle in a transaction; {of.deadlocks} deadlocks."
    )


def _finding(one: PerformanceFinding) -> str:
    more = "".join(f"<p>{escape(text)}</p>" for text in (one.suggestion, one.tried) if text)
    sql = f"<p><code>{escape(one.sql)};</code></p>" if one.sql else ""
    title = f"<strong>{escape(one.kind.capitalize())}</strong> {escape(one.subject)}"
    return f"<article><p>{title}</p><p>{escape(one.sentence)}</p>{more}{sql}</article>"


def _statements(found: list[Statement]) -> str:
    rows = (
        (
            f"{one.seconds:,.1f}", f"{one.mean_ms:,.1f}", _number(one.before_ms), f"{one.calls:,}",
            " ".join(one.text.split()), "; ".join(who(cause) for cause in one.causes) or "–",
        )
        for one in found
    )  # fmt: skip
    return _table(["Seconds", "Mean, ms", "The week before", "Calls", "Statement", "Sent by"], rows, 4)


def _waited(hours: list[Hour]) -> str:
    """A bar for each hour: within what 99 of 100 were answered."""
    if not hours:
        return ""
    width, height = CHART
    top, step = max(one.p99_ms for one in hours) or 1.0, width / max(24, len(hours))
    bars = "".join(
        f'<rect x="{place * step:.1f}" y="{height - one.p99_ms / top * height:.1f}" width="{step * 0.8:.1f}"'
        f' height="{one.p99_ms / top * height:.1f}"><title>{one.hour:%d %b %H:%M}: {one.p99_ms:,.0f} ms</title></rect>'
        for place, one in enumerate(hours)
    )
    said = f"99 of 100 requests within so many milliseconds, hour by hour, at most {top:,.0f}"
    return (
        f'<h2>What people and programs waited</h2><svg role="img" aria-label="{said}" width="100%"'
        f' viewBox="0 0 {width} {height + 16}">{bars}<text x="0" y="{height + 13}">{hours[0].hour:%d %b %H:%M}'
        f'</text><text x="{width}" y="{height + 13}" text-anchor="end">to {hours[-1].hour:%d %b %H:%M}; highest bar'
        f" {top:,.0f} ms (p99)</text></svg>"
    )


def _table(headers: list[str], rows: Rows, numbers: int) -> str:
    """The first so many columns are numbers; nothing where there are no rows."""
    lines = list(rows)
    if not lines:
        return ""
    kinds = [" class=number" if place < numbers else "" for place in range(len(headers))]
    head = "".join(f"<th scope=col{kind}>{escape(header)}</th>" for kind, header in zip(kinds, headers, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f"<td{kind}>{escape(str(cell))}</td>" for kind, cell in zip(kinds, line, strict=True))
        + "</tr>"
        for line in lines
    )
    return f"<div class=wide tabindex=0><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f}"
