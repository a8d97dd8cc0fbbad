"""Words of jobs: what people read for a flow, for how a run ended, and for what it counted."""

from typing import Any

from dashboard import formats
from models.flow_runs import MADE, Run, RunState

STATES = {
    RunState.WAITING: ("Waiting", "blue"),
    RunState.RUNNING: ("Running", "blue"), RunState.DONE: ("Done", "green"), RunState.FAILED: ("Failed", "red"),
    RunState.CRASHED: ("Crashed", "red"), RunState.CANCELLED: ("Cancelled", "gray"),
}  # fmt: skip


BY_ITSELF = ("export-views", "watch-folders", "sweep")  # which follow schedules and folders of their own


def job(flow: str) -> str:
    """“Back up” of back-up."""
    return flow.replace("-", " ").capitalize()


def whom(one: Run) -> str:
    if one.scheduled:
        return "by schedule"
    if one.asker:
        return f"for {one.asker}"
    return "by itself" if one.flow in BY_ITSELF else "at the command line"


def ended(one: Run) -> str:
    """“Cancelled by Ann”, where it is known who did that; else how it ended."""
    word = STATES[one.state][0]
    if one.state is not RunState.CANCELLED or one.cancelled_at is None:
        return word
    return f"{word} by {one.canceller}" if one.canceller else f"{word} at the command line"


def counts(told: dict[str, Any]) -> str:
    """“backup 3, 1,200 rows, 34 MB”; zeros are left out."""
    said = {name: value for name, value in told.items() if isinstance(value, bool) or value not in (None, 0)}
    ordered = sorted(said.items(), key=lambda one: (one[0] not in MADE, isinstance(one[1], bool)))
    return ", ".join(_count(name, value) for name, value in ordered)


def _count(name: str, value: Any) -> str:
    words = name.replace("_", " ")
    if name == "bytes" and isinstance(value, int):
        return formats.size(value)
    if isinstance(value, bool):
        return words if value else f"not {words}"
    if isinstance(value, int | float):
        number = formats.number(value, digits=2)
        if name in MADE:
            return f"{words} {number}"
        if name.endswith("_seconds"):
            return f"{words.removesuffix(' seconds')} {number} s"
        return f"{number} {_singular(words) if value == 1 else words}"
    return f"{words} {value}"


def _singular(words: str) -> str:
    """“industry” of industries, “row” of rows; “mended” stays."""
    return f"{words.removesuffix('ies')}y" if words.endswith("ies") else words.removesuffix("s")
