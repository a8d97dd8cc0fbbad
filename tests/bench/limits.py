"""What was measured beside what it may be at most, with whether that is kept."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Column, Table


@dataclass(frozen=True)
class Measured:
    """`value` and `limit` in `unit`; a number without a limit is only told."""

    what: str
    value: float
    unit: str
    limit: float | None = None

    @property
    def kept(self) -> bool:
        return self.limit is None or self.value <= self.limit


def milliseconds(seconds: Sequence[float], share: float) -> float:
    """The smallest of them that at least this share of all do not exceed."""
    return sorted(seconds)[math.ceil(len(seconds) * share) - 1] * 1000


def verdict(kept: bool) -> str:
    return "kept" if kept else "MISSED"


def show(title: str, measured: Sequence[Measured]) -> bool:
    """Prints them; whether every limit is kept."""
    numbers = [Column(name, justify="right") for name in ("measured", "at most")]
    table = Table(title, *numbers, "")
    for one in measured:
        limit, judged = ("", "") if one.limit is None else (f"{one.limit:,.0f} {one.unit}", verdict(one.kept))
        digits = 0 if one.unit else 1
        table.add_row(one.what, f"{one.value:,.{digits}f} {one.unit}", limit, judged)
    Console(width=110).print(table)
    return all(one.kept for one in measured)
