"""A round of housekeeping as text, 78 columns wide."""

from textwrap import fill

from models.house.shapes import HouseReport, TableSize
from models.performance.texts import cut, size

WIDTH, MOST = 78, 8


def page(report: HouseReport) -> str:
    parts = [
        "Disks", *(_disk(one.folder, one.holds, one.total, one.free, low=one.is_low) for one in report.disks), "",
        f"Database: {size(report.database_bytes)}",
        *(cut(f"  {size(one.bytes):>10}  {_rows(one):>17} rows  {one.name}") for one in report.tables[:MOST]), "",
        "Folders of the home",
        *(cut(f"  {size(one.bytes):>10}  {one.files:>12,} files  {one.name}") for one in report.folders[:MOST]), "",
        "Kept",
        *(cut(f"  {kept_for(one.days):>10}  {_removed(one.removed):>17}  {one.what}") for one in report.kept), "",
        f"Advice: {len(report.advice) or 'none'}",
        *(_advice(one.sentence, one.outcome) for one in report.advice),
        *(fill(note, WIDTH) for note in report.notes),
    ]  # fmt: skip
    return "\n".join(parts).rstrip()


def _rows(one: TableSize) -> str:
    return f"{one.rows:,}" if one.counted else f"about {one.rows:,}"


def kept_for(days: int | None) -> str:
    return "for ever" if days is None else f"{days:,} day{'s' if days != 1 else ''}"


def _disk(folder: str, holds: str, total: int, free: int, *, low: bool) -> str:
    warning = ", too little" if low else ""
    told = f"{size(free)} of {size(total)} free{warning}: {folder} ({holds})"
    return fill(told, WIDTH, initial_indent="  ", subsequent_indent="    ")


def _removed(number: int | None) -> str:
    return "" if number is None else f"{number:,} removed"


def _advice(sentence: str, outcome: str | None) -> str:
    told = sentence if outcome is None else f"{sentence} {outcome}"
    return fill(told, WIDTH, initial_indent="  ", subsequent_indent="    ")
