"""What stands in the contacts of a view of the mirror, and is like what somebody typed."""

from collections import Counter
from itertools import groupby, islice
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    and_,
    func,
    or_,
    select,
    true,
)

from models.contacts import misspelt
from models.contacts.columnar import SIGNED
from models.contacts.mirrored.matching import may_hold
from models.contacts.mirrored.tallies import Tallies
from models.contacts.table import FIELDS, SEARCHED
from models.fields import Kind
from models.filters import visible_fields


class Words(Tallies):
    def completed(self, name: str, typed: str, most: int) -> list[str] | None:
        """The field's values that begin with it, capitals aside, commonest first. None where it would take long: every
        other value is another one."""
        if not self._is_tallied(FIELDS[name].column) and (FIELDS[name].kind is Kind.LIST or not typed):
            return None
        return [value for value, _ in self.beginning(name, typed, most)]

    def beginning(self, name: str, typed: str, limit: int | None) -> list[tuple[str, int]]:
        """The same with their numbers, whatever it takes."""
        column, number = FIELDS[name].column, func.count().label("contacts")
        if self._is_tallied(column):
            return self._tallied_beginning(name, typed, limit)
        if FIELDS[name].kind is Kind.LIST:
            each, contacts = self._counted(name, and_(self.where, self.contacts.c[column].is_not(None)))
            begun = select(each, contacts).where(func.starts_with(func.lower(each), self._folded(typed)))
            return [(row[0], int(row[1])) for row in self._all(begun.order_by(contacts.desc(), each).limit(limit))]
        value = self._as_written(column)
        wanted = self._pattern(column, "starts", (typed,))
        named = select(value, number).select_from(self.contacts)
        if self._is_coded(column):
            values = self._values(column)
            value = values.c.value
            wanted = func.starts_with(values.c.folded, self._folded(typed))
            named = select(value, number).select_from(
                self.contacts.join(values, values.c.code == self.contacts.c[column])
            )
        begun = named.where(self.where, wanted).group_by(value).order_by(number.desc(), value).limit(limit)
        return [(row[0], int(row[1])) for row in self._all(begun)]

    def _tallied_beginning(self, name: str, typed: str, limit: int | None) -> list[tuple[str, int]]:
        """Of members of lists the capitals are those of this machine: the values are few, and are looked at here."""
        column = FIELDS[name].column
        tally = {code: number for code, number in self._tally([column])[column].items() if code is not None}
        begins = self._folded(typed).casefold()
        counted = self._commonest(name, tally, None)
        return [one for one in counted if one[0] is not None and one[0].casefold().startswith(begins)][:limit]

    def meant(self, word: str) -> list[list[str]]:
        """What these contacts have, or had once, and `word` is but for one letter or accents: first what differs in
        these alone, then whole words, then begins of words. See misspelt.py."""
        bare = misspelt.plain(self._folded(word))
        if not misspelt.SHORTEST <= len(bare) <= misspelt.LONGEST:
            return []
        found: Counter[tuple[bool, bool, str]] = Counter()
        for name in SEARCHED:
            if name in visible_fields(self.by):
                for meant, is_same, is_whole, number in self._all(self._near(FIELDS[name].column, bare)):
                    found[is_same, is_whole, meant] += number
        ordered = sorted(found, key=lambda one: (*one[:2], found[one], -abs(len(one[2]) - len(word)), one[2]))
        alike = groupby(reversed(ordered), key=lambda one: one[:2])
        return [[meant for *_, meant in islice(ones, misspelt.MOST)] for _, ones in alike]

    def _near(self, column: str, bare: str) -> Select[Any]:
        """Of a dictionary the values that these contacts have, where they are not all."""
        is_coded = self._is_coded(column)
        of: Table = self._values(column) if is_coded else self.contacts
        text, signed = of.c["folded" if is_coded else column], of.c["signature" if is_coded else f"{column}{SIGNED}"]
        may: ColumnElement[bool] = or_(
            *(and_(may_hold(signed, one), func.contains(text, one)) for one in misspelt.pieces(bare))
        )
        there = self.where
        if is_coded:
            numbered = self.view.dictionaries.numbers
            there = true() if self.is_everything else numbered(self.contacts.c[column], of, self.where)
        return misspelt.near(text, there, may, bare)
