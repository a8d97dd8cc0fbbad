"""What the mirror answers: the same questions as the database's, of the same filters, with the same rows in one order.

A filter is asked of a dictionary where the field has one, with the operators of models/filters.py, and of contacts by
the numbers found. Names of industries and people are read of the session, whose snapshot the mirror shows.
"""

from collections.abc import Sequence

from sqlalchemy import func

from models.contacts.mirror import View
from models.contacts.mirrored.overview import Overview
from models.contacts.mirrored.pages import Pages
from models.contacts.mirrored.words import Words
from models.filters import Filters
from models.permissions import Actor


class Mirrored(Pages, Overview, Words):
    """The mirror as an engine of models/contacts/search.py."""


def counts(view: View, asked: Sequence[Filters], *, by: Actor) -> list[int]:
    """How many contacts match each of them, in one look."""
    if not asked:
        return []
    each = [Mirrored(view, one, by) for one in asked]
    return list(each[0].all_of([func.count().filter(one.where) for one in each]))
