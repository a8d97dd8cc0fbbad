"""`appointment360 check` and `checks`: the rules of data quality, what they found over time, and which stop imports."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy import local, output
from deploy.cli_options import Home, Json
from models.errors import InvalidInput
from models.permissions import OPERATOR

if TYPE_CHECKING:
    from models.check_board import Run, Standing
    from models.check_results import Verdict

group = typer.Typer(help="The quality of the data: rules, runs, and which rules stop imports.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="RULE", help="Its name, as `checks list` gives it.")]
Report = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE", help="Write what was found: FILE.html opens offline, FILE.csv."),
]


@group.callback()
def everything() -> None:
    """The quality of the data: rules, runs, and which rules stop imports."""


def check(report: Report = None, as_json: Json = False, home: Home = None) -> None:
    """Check the quality of contacts, industries and payments.

    Broken rules are a result, not an error: the exit code is 0."""
    kind = _kind(report)
    with local.connected():
        from pipelines import validate_contacts

        with output.progress() as progress:
            verdicts = validate_contacts.check(
                home=local.home(), by=OPERATOR, say=lambda step: progress(step.lower(), 0, None)
            )
        if report:
            _write(report, kind)
    success = all(verdict.success for verdict in verdicts)
    if output.is_json():
        output.answer({"success": success, "rules": [_rule(verdict) for verdict in verdicts]})
        return
    failing = sorted((one for one in verdicts if one.failing), key=lambda one: (one.success, -one.failing))
    if failing:
        rows = [
            (
                (one.details or {})["sentence"], one.name, "tolerated" if one.success else "broken", one.failing,
                one.checked, _percent(_tolerance(one)),
            )
            for one in failing
        ]  # fmt: skip
        output.table(
            ["rule", "name", "state", "failing", "of", "may fail"], rows, numbers=["failing", "of", "may fail"]
        )
    output.say(_outcome(verdicts))
    if any(one.about == "contacts" for one in failing):
        output.note("To take the rows out: appointment360 export FILE --where check=NAME")
    if report:
        output.say(f"The report is in {report}.")


@group.command("list")
def listed(as_json: Json = False, home: Home = None) -> None:
    """List the rules with what the last check found."""
    with local.connected():
        from models import check_board

        board = check_board.board(by=OPERATOR)
    if output.is_json():
        output.answer({"rules": [_standing(one) for one in board.rules]})
        return
    if board.run is None:
        output.say("Nobody has checked the data yet: appointment360 check")
        return
    rows = [
        (
            one.name, one.about, _state(one), one.last.failing, one.last.checked, _percent(one.tolerance),
            "yes" if one.blocks else "",
        )
        for one in board.rules
    ]  # fmt: skip
    headers = ["name", "about", "state", "failing", "of", "may fail", "stops imports"]
    output.table(headers, rows, numbers=["failing", "of", "may fail"], spare=["about", "of"])


@group.command()
def runs(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many of the newest.")] = 20,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """List checks, newest first."""
    with local.connected():
        from models import check_board

        found = check_board.page(size=limit, by=OPERATOR)
    if output.is_json():
        output.answer({"runs": [_run(one) for one in found]})
        return
    rows = [
        (one.id, _moment(one.asked_at), one.state, one.contacts, f"{one.broken} of {one.rules}", one.tolerated)
        for one in found
    ]
    output.table(
        ["id", "when", "state", "contacts", "broken", "tolerated"], rows, numbers=["id", "contacts", "tolerated"]
    )


@group.command()
def block(name: Name, as_json: Json = False, home: Home = None) -> None:
    """Have imports that break a rule wait until somebody accepts that."""
    _switch(name, True)


@group.command()
def unblock(name: Name, as_json: Json = False, home: Home = None) -> None:
    """Have a rule stop no import any more."""
    _switch(name, False)


def _switch(name: str, blocks: bool) -> None:
    with local.connected():
        from models import check_switches

        check_switches.switch(name, blocks, by=OPERATOR)
    told = "Imports that break it wait now." if blocks else "It stops no import any more."
    output.answer_or_say({"name": name, "blocks": blocks}, told)


def _outcome(verdicts: list[Verdict]) -> str:
    broken = [one for one in verdicts if not one.success]
    tolerated = [one for one in verdicts if one.is_tolerated]
    rules = output.counted(len(verdicts), "rule")
    told = f"{len(broken):,} of {rules} broken." if broken else f"All {rules} hold."
    if tolerated:
        values = output.counted(sum(one.failing for one in tolerated), "failing value")
        told += f" {len(tolerated):,} of them {'holds' if len(tolerated) == 1 else 'hold'} only within the tolerance: "
        told += f"{values}."
    return told


def _kind(report: Path | None) -> str:
    """“html” or “csv”. Raises InvalidInput before anything is checked."""
    kind = report.suffix.lower().removeprefix(".") if report else "html"
    if kind not in ("html", "csv"):
        raise InvalidInput(f"{report} is no name for a report: let it end in .html or .csv.")
    if report and not report.absolute().parent.is_dir():
        raise InvalidInput(f"There is no folder {report.absolute().parent} to write the report into.")
    return kind


def _write(report: Path, kind: str) -> None:
    from models import check_report

    text = check_report.html(by=OPERATOR) if kind == "html" else "".join(check_report.csv(by=OPERATOR))
    try:
        with report.open("w", encoding="utf-8" if kind == "html" else "utf-8-sig", newline="") as file:
            file.write(text)
    except OSError as error:
        raise InvalidInput(f"The report cannot be written to {report}: {error.strerror}.") from error


def _rule(verdict: Verdict) -> dict[str, object]:
    return {
        "name": verdict.name, "field": verdict.field, "success": verdict.success, "checked": verdict.checked,
        "failing": verdict.failing, "tolerance": _tolerance(verdict),
    }  # fmt: skip


def _tolerance(one: Verdict) -> float:
    return float((one.details or {}).get("tolerance", 1.0))


def _percent(tolerance: float) -> str:
    return f"{100 * (1 - tolerance):.0f} %"


def _state(one: Standing) -> str:
    if not one.last.success:
        return "broken"
    return "tolerated" if one.is_tolerated else "holds"


def _standing(one: Standing) -> dict[str, object]:
    return {
        "name": one.name, "about": one.about, "field": one.field, "sentence": one.sentence, "success": one.last.success,
        "checked": one.last.checked, "failing": one.last.failing, "tolerance": one.tolerance, "blocks": one.blocks,
        "filter": one.filter,
    }  # fmt: skip


def _run(one: Run) -> dict[str, object]:
    return {
        "run_id": one.id, "state": one.state, "asked_at": one.asked_at.isoformat(), "asked_by": one.asked_by,
        "seconds": one.seconds, "contacts": one.contacts, "rules": one.rules, "broken": one.broken,
        "tolerated": one.tolerated,
    }  # fmt: skip


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"
