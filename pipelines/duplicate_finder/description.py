"""What the fields of a table mean for telling whether two of its records are the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Meaning(StrEnum):
    FIRST_NAME = "first name"
    LAST_NAME = "last name"
    EMAIL = "e-mail"
    WORK_EMAIL = "e-mail at work"  # made of the name and the company: alike ones say nothing that these do not
    DATE = "date"  # of birth, or another that stays
    KEY = "key"  # a number or address that one record alone has: an external id, a LinkedIn page
    PHONE = "phone"  # all fields of this meaning are one set: an office's number may stand under mobile
    ORGANISATION = "organisation"
    PLACE = "place"
    ADDRESS = "address"
    CODE = "code"  # short, shared by many: a postal code, a house number
    WORDS = "words"  # a few words: a job title


@dataclass(frozen=True)
class Described:
    """The column `name`; people read `title`."""

    name: str
    meaning: Meaning
    title: str


@dataclass(frozen=True)
class Description:
    """`id` is the column with the record's number, which is whole."""

    id: str
    fields: tuple[Described, ...]

    def of(self, *meanings: Meaning) -> Sequence[Described]:
        return [one for one in self.fields if one.meaning in meanings]

    def name(self, *meanings: Meaning) -> str | None:
        """The column of these meanings, the first of several; None where there is none."""
        return next((one.name for one in self.of(*meanings)), None)

    @property
    def has_full_name(self) -> bool:
        return bool(self.of(Meaning.FIRST_NAME) and self.of(Meaning.LAST_NAME))
