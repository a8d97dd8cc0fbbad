"""The numbers of all contacts that match, of a view of the mirror."""

from copy import copy
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from sqlalchemy import (
    Column,
    Date,
    MetaData,
    Table,
    cast,
    func,
    select,
    true,
)

from models.contacts import statistics
from models.contacts.columnar import ADDED_ON, FILLED, WRITTEN, Form
from models.contacts.mirrored.tallies import TOTALS, Tallies
from models.contacts.statistics import Statistics
from models.contacts.table import FIELDS
from models.fields import Kind
from models.filters import reference_names

_FIRST_DAY = date(1970, 1, 1)
FEW = 2_000_000  # contacts that are put apart for the overview


class Overview(Tallies):
    """As models/contacts/statistics.py has it of the database."""

    def statistics(self, seen: list[str]) -> Statistics:
        """As statistics.read."""
        at = self.session.scalars(select(func.now())).one().astimezone(UTC)
        since = at.date() - timedelta(days=statistics.NEW_DAYS - 1)
        sums = [name for name in ("employees", "annual_revenue") if name in seen]
        verified = [statistics.IS_VERIFIED] if "email_status" in seen else []
        uncounted = [] if self.is_everything else seen
        wanted = [
            func.count(),
            func.count().filter(self.contacts.c.created_at >= datetime.combine(since, time(), UTC)),
            *(func.sum(self.contacts.c[FIELDS[name].column]) for name in sums),
            *(func.count().filter(self._of(one)) for one in verified),
            *(func.count(self.contacts.c[FIELDS[name].column]) for name in uncounted),
        ]
        total, new, *rest = self._one(select(*wanted).select_from(self.contacts).where(self.where))
        summed, rest = dict(zip(sums, rest, strict=False)), rest[len(sums) :]
        number_verified, rest = sum(rest[: len(verified)]), rest[len(verified) :]
        filled = self._filled(seen) if self.is_everything else dict(zip(uncounted, rest, strict=True))
        averages = {name: Decimal(summed[name]) / filled[name] if filled[name] else None for name in sums}
        counted = [name for name in (*statistics.COUNTED, "company") if name in seen]
        among = self if self.is_everything or total > FEW else self._apart(counted)
        values = among.count_by_each([name for name in statistics.COUNTED if name in seen], {}, statistics.MOST)
        if statistics.INDUSTRY in values:
            called = reference_names(self.session, Kind.INDUSTRY)
            named = [(called[key], number) for key, number in values[statistics.INDUSTRY]]
            values[statistics.INDUSTRY] = sorted(named, key=statistics.commonest_first)
        by_value = {name: dict(counts) for name, counts in values.items()}
        return Statistics(
            at=at,
            total=total,
            filled=filled,
            values=by_value,
            months=statistics.months(among._days(), at.date()),
            new=new,
            new_since=since,
            companies=among._companies() if "company" in seen else 0,
            verified=number_verified,
            average_employees=averages.get("employees"),
            average_revenue=averages.get("annual_revenue"),
        )

    def _apart(self, names: list[str]) -> "Overview":
        """The same contacts, with these fields only, so that the rest is not asked of all contacts again and again."""
        fields = [FIELDS[name].column for name in names]
        written = [f"{one}{WRITTEN}" for one in fields if self.view.file.by_name[one].form is Form.TEXT]
        columns = [self.contacts.c[one] for one in ("created_at", *fields, *written)]
        self.view.dictionaries.look_up()
        self.view.dictionaries.keep("apart", select(*columns).where(self.where))
        apart = copy(self)
        apart.contacts = Table("apart", MetaData(), *(Column(one.name, one.type) for one in columns))
        apart.where, apart._is_apart = true(), True
        return apart

    def _filled(self, seen: list[str]) -> dict[str, int]:
        """How many of all contacts have a value in each field."""
        filled = func.sum(TOTALS.c.contacts).filter(TOTALS.c.code.is_not(None))
        by_field = dict(self._all(select(TOTALS.c.field, filled).group_by(TOTALS.c.field)))
        numbers = (
            by_field.get(column, by_field.get(f"{column}{FILLED}")) for column in (FIELDS[one].column for one in seen)
        )
        return {name: int(number or 0) for name, number in zip(seen, numbers, strict=True)}

    def _days(self) -> list[tuple[date, int]]:
        """The days on which contacts were added, by UTC, with their numbers."""
        if self.is_everything:
            tally = self._tally([ADDED_ON])[ADDED_ON]
            return [(_FIRST_DAY + timedelta(days=int(number)), contacts) for number, contacts in tally.items()]
        # A moment of no time zone becomes a day in a twentieth of the time.
        day = cast(func.make_timestamp(func.epoch_us(self.contacts.c.created_at)), Date).label("day")
        counted = select(day, func.count()).select_from(self.contacts).where(self.where).group_by(day)
        return [(row[0], row[1]) for row in self._all(counted)]

    def _companies(self) -> int:
        """Without regard to capitals."""
        column = self.contacts.c.company
        if not self._is_coded("company"):
            counted = select(func.count(column.distinct())).select_from(self.contacts).where(self.where)
            return int(self._one(counted)[0])
        values = self._values("company")
        there = self.view.dictionaries.numbers(column, values, self.where)
        return int(self._one(select(func.count(values.c.folded.distinct())).where(there))[0])
