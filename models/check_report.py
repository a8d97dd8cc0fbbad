"""The quality of the data as a file: HTML that opens without a network, and CSV. Neither holds values of contacts."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape

from models import check_board, csv_lines
from models.check_board import Board, Completeness, Standing
from models.check_rules import About
from models.permissions import Actor, Permission, require

TITLE = "Data quality"
WIDTH, HEIGHT = 120, 24  # of a line chart, in pixels
HEADERS = (
    "About", "Rule", "Name", "Field", "Holds", "Checked", "Failing", "Share failing", "Allowed", "Stops imports",
    "Broken since", "Filter",
)  # fmt: skip
HEADINGS = {About.CONTACTS: "Contacts", About.INDUSTRIES: "Industries", About.PAYMENTS: "Payments"}

# The colours are those of the screens.
STYLE = """
:root { color-scheme: light dark; --text: #13151A; --page: #FFFFFF; --soft: #5A606C; --line: #DFE2E8; --raised: #F4F5F7;
  --good: #1B7F4B; --some: #8A5A00; --bad: #B42318; --accent: #3B55D9; }
@media (prefers-color-scheme: dark) { :root { --text: #E7E8EC; --page: #111216; --soft: #A9AFBC; --line: #2C2F37;
  --raised: #1A1C21; --good: #5CC98D; --some: #E5B567; --bad: #F58A80; --accent: #8C9CFA; } }
body { margin: 2rem auto; max-width: 1080px; padding: 0 1rem; background: var(--page); color: var(--text);
  font: 14px/1.45 Inter, system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; } p { color: var(--soft); }
.wall { display: flex; flex-wrap: wrap; gap: 14px; margin: 1.25rem 0; }
.wall div { flex: 1 1 150px; border: 1px solid var(--line); border-radius: 6px; padding: .75rem 1rem; }
.wall b { display: block; font-size: 1.55rem; font-weight: 600; } .wall span, small { color: var(--soft); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 500; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
td.w, th.w { white-space: nowrap; }
.good { color: var(--good); } .some { color: var(--some); } .bad { color: var(--bad); font-weight: 600; }
code { font-size: 12px; color: var(--soft); } svg { display: block; }
@media print { body { margin: 0; max-width: none; } }
"""


def html(*, by: Actor) -> str:
    """Of the last check, as far as the person sees it: no script, no address of anything. Raises NotAllowed."""
    require(by, Permission.CONTACTS_READ)
    board = check_board.board(by=by)
    body = "".join(_body(board)) if board.run else "<p>Nobody has checked the data yet.</p>"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{TITLE}</title><style>{STYLE}</style></head><body><h1>{TITLE}</h1>{body}</body></html>\n"
    )


def name(kind: str, *, by: Actor) -> str:
    """What the file is called, such as “data quality 2026-11-27.html”: by the day of the check. Raises NotAllowed."""
    run = check_board.board(by=by, runs=1).run
    return (
        f"{TITLE.lower()} {run.finished_at:%Y-%m-%d}.{kind}" if run and run.finished_at else f"{TITLE.lower()}.{kind}"
    )


def csv(*, by: Actor) -> Iterator[str]:
    """A line for each rule, then one for each field. Raises NotAllowed."""
    require(by, Permission.CONTACTS_READ)
    return _lines(check_board.board(by=by))


def percent(share: float) -> str:
    """“0.4 %”; what is not nothing and not all is not said to be."""
    if 0 < share < 0.0005:
        return "less than 0.1 %"
    if 0.9995 <= share < 1:
        return "more than 99.9 %"
    return f"{100 * share:.1f} %"


def sparkline(values: Sequence[float], *, words: str, most: float | None = None) -> str:
    """An SVG line of the values, the oldest first, from 0 to `most` (or the largest of them); `words` is its text."""
    top = most or max(values, default=0) or 1
    step = (WIDTH - 6) / max(len(values) - 1, 1)
    places = [
        f"{3 + at * step:.1f},{HEIGHT - 3 - (HEIGHT - 6) * min(one / top, 1):.1f}" for at, one in enumerate(values)
    ]
    last = places[-1].split(",") if places else ["0", "0"]
    return (
        f'<svg role="img" aria-label="{escape(words)}" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}">'
        f'<polyline fill="none" stroke="var(--accent)" stroke-width="1.5" points="{" ".join(places)}"/>'
        f'<circle cx="{last[0]}" cy="{last[1]}" r="2.5" fill="var(--accent)"/></svg>'
    )


def _body(board: Board) -> Iterator[str]:
    run = board.run
    assert run is not None
    whom = f", asked for by {escape(run.asked_by)}" if run.asked_by else ""
    yield f"<p>Checked {_moment(run.finished_at)}{whom}.</p>"
    yield '<div class="wall">'
    failing, tolerated = (sum(one.last.failing for one in rules) for rules in (board.rules, board.tolerated))
    for number, label in (
        (f"{run.broken:,} of {run.rules:,}", "rules are broken"),
        (f"{failing:,}", f"values or rows fail, {tolerated:,} of them within the tolerance of their rules"),
        *([(f"{run.contacts:,}", "contacts")] if run.contacts is not None else []),
        *([(f"{run.industries:,}", "industries")] if run.industries is not None else []),
        *([(f"{run.payments:,}", "payments")] if run.payments is not None else []),
    ):
        yield f"<div><b>{number}</b><span>{label}</span></div>"
    yield "</div>"
    most = max((point.share for one in board.rules for point in one.points), default=0.0)  # one scale for all
    for about, heading in HEADINGS.items():
        if rules := [one for one in board.rules if one.about is about]:
            yield f"<h2>{heading}</h2>{_rules(rules, most)}"
    if board.completeness:
        yield f"<h2>How full each field is</h2>{_fields(board.completeness)}"


def _rules(rules: Sequence[Standing], most: float) -> str:
    heads = (
        '<th>Rule</th><th></th><th class="n">Failing</th><th class="n">Share</th><th class="n">Tolerance</th>'
        f'<th class="w">Over time, to {percent(most)}</th>'
    )
    return f'<div class="wide"><table><tr>{heads}</tr>{"".join(_rule(one, most) for one in rules)}</table></div>'


def _rule(one: Standing, most: float) -> str:
    last, since = one.last, one.broken_since
    if one.is_tolerated:
        state = '<span class="some">tolerated</span>'
    elif last.success:
        state = '<span class="good">holds</span>'
    else:
        state = f'<span class="bad">broken</span><br><small>since {_moment(since)}</small>'
    told = ["stops imports"] if one.blocks else []
    told += [f"filter {one.filter}"] if one.filter and last.failing else []
    if one.about is not About.CONTACTS and one.examples:
        told.append("such as " + ", ".join(dict.fromkeys(one.examples)))
    chart = sparkline(
        [point.share for point in one.points],
        words=f"{len(one.points)} checks, last {percent(last.share)}",
        most=most,
    )
    return (
        f"<tr><td>{escape(one.sentence)}<br><code>{escape(' · '.join(told))}</code></td><td class='w'>{state}</td>"
        f'<td class="n w">{last.failing:,}<br><small>of {last.checked:,}</small></td>'
        f'<td class="n w">{percent(last.share)}</td><td class="n w">{percent(1 - one.tolerance)}</td>'
        f"<td>{chart}</td></tr>"
    )


def _fields(fields: Sequence[Completeness]) -> str:
    heads = '<th>Field</th><th class="n">Filled</th><th class="n">Share</th><th>Over time</th>'
    rows = (
        f'<tr><td>{escape(one.title)}</td><td class="n">{one.filled:,}</td><td class="n w">{percent(one.share)}</td>'
        f"<td>{_filled(one)}</td></tr>"
        for one in fields
    )
    return f'<div class="wide"><table><tr>{heads}</tr>{"".join(rows)}</table></div>'


def _filled(one: Completeness) -> str:
    shares = [filled / total if total else 0.0 for _, filled, total in one.points]
    return sparkline(shares, words=f"{len(shares)} checks, last {percent(one.share)}", most=1)


def _lines(board: Board) -> Iterator[str]:
    yield csv_lines.line(HEADERS)
    for one in board.rules:
        last, since = one.last, one.broken_since
        yield csv_lines.line([
            one.about, one.sentence, one.name, one.field or "", _yes(last.success), str(last.checked),
            str(last.failing), f"{last.share:.6f}", f"{1 - one.tolerance:.6f}", _yes(one.blocks),
            since.astimezone(UTC).isoformat(timespec="seconds") if since else "", one.filter or "",
        ])  # fmt: skip
    for field in board.completeness:
        yield csv_lines.line([
            "completeness", f"{field.title} is filled.", f"{field.field}_is_filled", field.field, "",
            str(field.contacts), str(field.contacts - field.filled), f"{1 - field.share:.6f}", "", "", "",
            f"{field.field}.empty=yes",
        ])  # fmt: skip


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _moment(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%d %b %Y, %H:%M} UTC" if at else "never"
