"""Which backups are kept: grandfathers, fathers, sons. Pure: it knows neither database nor place."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Generations:
    """So many newest ones, and the last of each of so many days, weeks, months and years that have one."""

    newest: int = 3
    days: int = 7
    weeks: int = 5
    months: int = 12
    years: int = 3

    @property
    def longest_days(self) -> int:
        """How old the oldest of them becomes at most."""
        return max(self.days, self.weeks * 7, self.months * 31, self.years * 366)


@dataclass(frozen=True)
class Kept:
    """A backup as retention sees it; `made` in UTC."""

    id: int
    made: datetime
    proven: bool


PERIODS = {"days": "%Y-%m-%d", "weeks": "%G-%V", "months": "%Y-%m", "years": "%Y"}


def superfluous(backups: Iterable[Kept], generations: Generations) -> list[int]:
    """The ids that may go, the oldest first: never the newest, and never the newest proven one.

    For a day (week, month, year) stands its last proven backup, and where none is proven its last one.
    """
    listed = sorted(backups, key=lambda one: (one.made, one.id), reverse=True)
    staying = {one.id for one in listed[: max(1, generations.newest)]}
    staying |= {one.id for one in [one for one in listed if one.proven][:1]}
    for period, pattern in PERIODS.items():
        standing: dict[str, Kept] = {}
        for one in listed:
            key = one.made.strftime(pattern)
            if key not in standing or (one.proven and not standing[key].proven):
                standing[key] = one
        newest = sorted(standing.values(), key=lambda one: one.made, reverse=True)
        staying |= {one.id for one in newest[: getattr(generations, period)]}
    return [one.id for one in reversed(listed) if one.id not in staying]
