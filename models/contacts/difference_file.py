"""A difference as a CSV file. It takes contacts out, as an export does, and costs what that would."""

from collections.abc import Iterator, Sequence
from itertools import chain

from models import audit, credits, csv_lines, filters
from models.audit import Event
from models.contacts import difference, search
from models.contacts.difference import SINCE, UNTIL, Asked, Differing, Way, told
from models.contacts.editing import as_text
from models.contacts.moments import NOW
from models.contacts.table import FIELDS
from models.database import writing
from models.filters import Filters
from models.permissions import Actor, Permission, require

HEADERS = ("What", "Appointment360 Number", "Field", "Before", "After")
ROWS_AT_ONCE = 500  # of the database's cursor


def parse(pairs: Sequence[tuple[str, str]], *, by: Actor) -> Asked:
    """What an address asks for: a filter, and its moments under SINCE and UNTIL. Raises InvalidInput, NotAllowed."""
    own = {name: value for name, value in pairs if name in (SINCE, UNTIL)}
    chosen = filters.parse_pairs([pair for pair in pairs if pair[0] not in own], by=by)
    return Asked(chosen, *(difference.moment(own.get(name, NOW), name) for name in (SINCE, UNTIL)))


def cost(asked: Asked, *, by: Actor) -> int:
    """The credits that it takes to take the file now. Raises NotAllowed, InvalidInput."""
    require(by, Permission.CONTACTS_EXPORT)
    with search.looking(Filters(), by) as session:
        states = difference.compared(session, asked, by=by)
        return credits.cost_of(session, states.found(states.id.label("id")), by=by)


def as_csv(asked: Asked, *, noted: bool = True, by: Actor) -> Iterator[str]:
    """The lines of a CSV file, streamed: one for each value that differs, and of a contact that is there at one of the
    moments only for each value that it has. Cells that a spreadsheet would run as a formula get an apostrophe.

    `noted`: it is paid for and written to the audit log first. Raises NotAllowed, InvalidInput, NotEnoughCredits.
    """
    require(by, Permission.CONTACTS_EXPORT)
    lines = _lines(asked, noted, by)
    return chain([next(lines)], lines)  # what it costs is paid before anybody waits for the file


def _lines(asked: Asked, noted: bool, by: Actor) -> Iterator[str]:
    """What is paid for and what is written come from one snapshot."""
    with search.looking(Filters(), by) as session:
        states = difference.compared(session, asked, by=by)
        if noted:
            with writing(by) as paying:
                paid = credits.pay(paying, states.found(states.id.label("id")), snapshot=session, by=by)
                audit.write(
                    paying, Event.DIFFERENCE_EXPORTED, "contacts", by=by,
                    filter=asked.filters.sentence(), query=asked.filters.query(),
                    moments=asked.moments, credits=paid,
                )  # fmt: skip
        yield csv_lines.line(HEADERS)
        rows = session.execute(
            states.every().order_by(states.way, states.id), execution_options={"yield_per": ROWS_AT_ONCE}
        )
        for row in rows.mappings():
            yield from _of_contact(told(row, states.seen))


def _of_contact(one: Differing) -> Iterator[str]:
    word = _word(one)
    if one.fields:
        pairs = [
            (change.name, as_text(change.name, change.old), as_text(change.name, change.new)) for change in one.fields
        ]
    else:
        texts = [(name, as_text(name, value)) for name, value in one.values.items() if value is not None]
        pairs = [(name, *(("", text) if one.is_there else (text, ""))) for name, text in texts]
    for name, old, new in pairs:
        yield csv_lines.line([word, str(one.id), FIELDS[name].title, old, new])


def _word(one: Differing) -> str:
    if one.was_there and one.is_there:
        return one.way.value
    return f"{Way.CAME.value}: added" if one.is_there else f"{Way.LEFT.value}: deleted"
