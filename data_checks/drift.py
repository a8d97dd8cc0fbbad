"""Drift: what stands out about an import beside the accepted ones before it.

The thresholds are declared with the fields (models.fields.Drift). Something stands out only where the import is further
than its threshold from all of the accepted ones together, newer ones counting more, and from each single one of them:
what came before once and was accepted is no surprise. And only where chance hardly explains it.

Imports of another source, with other columns, only give hints: who sends files with empty phones need not send them
with what somebody else's have.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import log

from data_checks import drift_values
from data_checks.drift_shares import FAR, FEWEST_ROWS, Side, distance, finding
from data_checks.drift_words import before, percent, rows_of
from models.contacts.table import FIELDS
from models.import_findings import Finding, Severity, in_order
from models.import_profiles import Baseline, Compared, Profile

SETTLED = 3  # imports, after which a source is known to bring new contacts or known ones, many rows or few
REJECTED, DUPLICATES, KNOWN = 0.05, 0.3, 0.4  # by how much the share of rows may differ
TIMES_AS_MANY = 5.0
LEAST_FILLED = 0.05  # of a column whose absence is missed

NOTHING_BEFORE = "There is no accepted import to compare it with yet."
TOO_FEW = f"It has too few rows to be compared: {FEWEST_ROWS} are needed."
TOO_FEW_BEFORE = f"The accepted imports before it have too few rows to compare it with: {FEWEST_ROWS} are needed."


def judge(now: Profile, baseline: Baseline) -> tuple[list[Finding], Compared]:
    """What stands out, the strongest first, and with which imports `now` was compared, or why with none."""
    earlier = [one for one in baseline.profiles if one.staged + one.outcome["rejected"] >= FEWEST_ROWS]
    if not baseline.profiles:
        return [], Compared(why=NOTHING_BEFORE)
    if now.rows < FEWEST_ROWS:
        return [], Compared(why=TOO_FEW)
    if not earlier:
        return [], Compared(why=TOO_FEW_BEFORE)
    side = Side(now, earlier)
    looks = SAME_SOURCE if baseline.is_same else OTHER_SOURCE
    found = [one for look in looks for one in look(side) if one.strength >= (1 if baseline.is_same else FAR)]
    found = [one if baseline.is_same else replace(one, severity=Severity.LOW) for one in _once_a_field(found)]
    return in_order(found), Compared(tuple(one.import_id for one in earlier), baseline.is_same)


def _empty(side: Side) -> Iterator[Finding]:
    """More or fewer rows without a value."""
    for name, column in side.now.columns.items():
        limit, having = FIELDS[name].drift.empty, side.having(name)
        if limit is None or not having:
            continue
        shares = [(one.staged - one.columns[name]["filled"], one.staged) for one in having]
        found = distance((side.now.staged - column["filled"], side.now.staged), shares)
        if found is None or abs(found.far) < limit:
            continue
        title = FIELDS[name].title
        sentence = (
            f"{title} is empty in {percent(found.now)} of the rows; {before(having)} it was {percent(found.before)}."
        )
        rows = {"of": "empty" if found.far > 0 else "filled", "field": name}
        one = finding(
            f"{name}_empty", name, abs(found.far) / limit, sentence, now=found.now, before=found.before, rows=rows
        )
        yield one if found.far > 0 else replace(one, severity=Severity.LOW)  # to have more values is no harm


def _refused(side: Side) -> Iterator[Finding]:
    """More rows that do not come in, in all or for one reason; more duplicates."""
    rows = side.now.rows
    shares = [(one.outcome["rejected"], one.rows) for one in side.earlier]
    found = distance((side.now.outcome["rejected"], rows), shares)
    if found and found.far >= REJECTED:
        sentence = (
            f"{percent(found.now)} of the rows are rejected; {before(side.earlier)} {percent(found.before)} were."
        )
        yield finding(
            "rows_rejected", None, found.far / REJECTED, sentence, now=found.now, before=found.before,
            rows={"of": "rejected"},
        )  # fmt: skip
        return
    for why, number in side.now.reasons.items():
        found = distance((number, rows), [(one.reasons.get(why, 0), one.rows) for one in side.earlier])
        if found and found.far >= REJECTED:
            told = f"{percent(found.now)} of the rows are rejected; {before(side.earlier)} {percent(found.before)} were"
            sentence = f"For one reason {told}: {why}"
            yield finding(
                "rows_rejected_for_a_reason", None, found.far / REJECTED, sentence, now=found.now, before=found.before,
                rows={"of": "rejected", "reason": why},
            )  # fmt: skip
            return


def _repeated(side: Side) -> Iterator[Finding]:
    shares = [(one.outcome["duplicates"], one.rows) for one in side.earlier]
    found = distance((side.now.outcome["duplicates"], side.now.rows), shares)
    if found and found.far >= DUPLICATES:
        repeat = f"{percent(found.now)} of the rows repeat another one of the file"
        sentence = f"{repeat}; {before(side.earlier)} {percent(found.before)} did."
        yield finding(
            "rows_repeated", None, found.far / DUPLICATES, sentence, now=found.now, before=found.before,
            rows={"of": "duplicate"},
        )  # fmt: skip


def _known(side: Side) -> Iterator[Finding]:
    """Far more, or fewer, rows mean contacts that are there; far more of those change."""
    settled = [one for one in side.earlier[:SETTLED] if one.staged >= FEWEST_ROWS]
    if len(settled) < SETTLED or side.now.staged < FEWEST_ROWS:
        return
    found = distance((side.now.known, side.now.staged), [(one.known, one.staged) for one in settled])
    if found and abs(found.far) >= KNOWN:
        make = f"{percent(1 - found.now)} of the rows make new contacts"
        sentence = f"{make}; {before(settled)} {percent(1 - found.before)} did."
        action = "create" if found.far < 0 else "known"
        yield finding(
            "rows_created", None, abs(found.far) / KNOWN, sentence, now=1 - found.now, before=1 - found.before,
            rows={"of": "action", "action": action},
        )  # fmt: skip
    knowing = [one for one in settled if one.known >= FEWEST_ROWS]
    if len(knowing) < SETTLED or side.now.known < FEWEST_ROWS:
        return
    for name, number in side.now.changed.items():
        limit = FIELDS[name].drift.changed if name in FIELDS else None
        found = distance((number, side.now.known), [(one.changed.get(name, 0), one.known) for one in knowing])
        if found and limit is not None and found.far >= limit:
            title = FIELDS[name].title
            would = f"{title} would change in {percent(found.now)} of the contacts that the file knows"
            sentence = f"{would}; {before(knowing)} it did in {percent(found.before)}."
            yield finding(
                f"{name}_changed", name, found.far / limit, sentence, now=found.now, before=found.before,
                rows={"of": "changed", "field": name},
            )  # fmt: skip


def _columns(side: Side) -> Iterator[Finding]:
    """Columns that came before and are missing, or come for the first time."""
    newest = side.earlier[:SETTLED]

    def filled(one: Profile, name: str) -> float:
        return one.columns[name]["filled"] / one.staged if name in one.columns and one.staged else 0.0

    for name in newest[0].columns:
        share = min(filled(one, name) for one in newest)
        if name not in side.now.columns and share >= LEAST_FILLED:
            sentence = (
                f"{FIELDS[name].title} comes from no column; {before(newest)} {percent(share)} of the rows had one."
            )
            yield finding(f"{name}_missing", name, 1 + 2 * share, sentence, before=share)
    for name in side.now.columns:
        share = filled(side.now, name)
        if share >= LEAST_FILLED and not side.having(name):
            sentence = f"{FIELDS[name].title} comes for the first time, in {percent(share)} of the rows."
            yield replace(finding(f"{name}_new", name, 1.0, sentence, now=share), severity=Severity.LOW)
    yield from _kept_aside(side, newest)


def _kept_aside(side: Side, newest: Sequence[Profile]) -> Iterator[Finding]:
    """The same of columns that no field takes."""
    always = set.intersection(*({*one.leftover} for one in newest))
    here = {" ".join(header.lower().split()) for header in side.now.headers}
    gone = sorted(header for header in always if " ".join(header.lower().split()) not in here)
    if gone:
        named = ", ".join(gone[:5]) + (f" and {len(gone) - 5} more" if len(gone) > 5 else "")
        sentence = f"Columns that no field takes are missing: {named}."
        yield replace(finding("leftover_missing", None, 1.0, sentence), severity=Severity.LOW)


def _rows(side: Side) -> Iterator[Finding]:
    """Many times more or fewer rows than a source ever sent."""
    if len(side.earlier) < SETTLED:
        return
    sizes = [one.rows for one in side.earlier]
    times = max(side.now.rows / max(sizes), min(sizes) / side.now.rows)
    if times >= TIMES_AS_MANY:
        told = f"{min(sizes):,}" if min(sizes) == max(sizes) else f"{min(sizes):,} to {max(sizes):,}"
        sentence = f"The file has {rows_of(side.now.rows)}; {before(side.earlier)} it had {told}."
        yield finding(
            "rows_number", None, log(times) / log(TIMES_AS_MANY), sentence, now=side.now.rows, before=min(sizes)
        )


def _once_a_field(found: Sequence[Finding]) -> list[Finding]:
    """Where nearly all of a column is missing, how the rest of it looks says nothing more."""
    emptied = {one.field for one in found if one.name == f"{one.field}_empty" and one.details["now"] > 0.9}
    return [one for one in found if one.field not in emptied or one.name == f"{one.field}_empty"]


Look = Callable[[Side], Iterator[Finding]]


SAME_SOURCE: tuple[Look, ...] = (_empty, _refused, _repeated, _known, _columns, _rows, *drift_values.LOOKS)
OTHER_SOURCE: tuple[Look, ...] = (_empty, _refused, drift_values.sizes)
