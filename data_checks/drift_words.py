"""The words of what stands out: shares, sizes, and what an import is compared with."""

from collections.abc import Sized

UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def percent(share: float) -> str:
    """“19 %”, “0.4 %”, “none”."""
    if share <= 0:
        return "none"
    shown = f"{100 * share:.0f}" if share >= 0.0095 else f"{100 * share:.1f}"
    return "less than 0.1 %" if shown == "0.0" else f"{shown} %"


def before(imports: Sized) -> str:
    """“in the 5 imports before”."""
    return "in the import before" if len(imports) == 1 else f"in the {len(imports)} imports before"


def rows_of(number: int) -> str:
    return "1 row" if number == 1 else f"{number:,} rows"


def short(number: float) -> str:
    """“32M”, “1.5k”, “7”."""
    for size, unit in UNITS:
        if abs(number) >= size:
            return (
                f"{number / size:.1f}".removesuffix(".0") + unit if number < 10 * size else f"{number / size:.0f}{unit}"
            )
    return f"{number:.0f}"
