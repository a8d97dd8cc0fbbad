"""The overview's cards: which numbers each chart shows, and which contacts a click on it means."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, timedelta

import streamlit as st

from dashboard import formats
from dashboard.widgets.chart_bars import months, ranking, shares
from dashboard.widgets.chart_map import Place, placed, unplaced_words, world
from dashboard.widgets.charts import HEIGHT, Chart, card, cut
from dashboard.widgets.columns import STATUS_COLOURS, label
from dashboard.widgets.metrics import Condition
from dashboard.widgets.page import token
from models.contacts.statistics import Statistics
from models.contacts.table import EMAIL_STATUSES, SENIORITIES

RANKED, ORDERED, LEAST = 8, 11, 12  # bars: of a ranking, of declared values, of completeness
COLUMNS = 4
CONTACTS = "Contacts"
LONGEST = 100  # characters of the filter's sentence in a picture
NAMED = 15  # empty fields
UNPLACED_HEIGHT = 44  # pixels of the sentence below the map, which the map gives away


@dataclass(frozen=True)
class Shown:
    """`sentence` says of which contacts; `months` is how far growth goes back (None: to the first contact)."""

    numbers: Statistics
    sentence: str
    months: int | None
    may_export: bool

    def card(self, chart: Chart) -> AbstractContextManager[None]:
        about = f"{cut(self.sentence, LONGEST)} · {formats.moment(self.numbers.at)}"
        return card(chart, about=about, may_export=self.may_export)


Card = Callable[[Shown], Condition | None]


def cards(shown: Shown) -> Condition | None:
    """All cards of what the person may see. Returns the condition of what was clicked."""
    wall = st.grid(COLUMNS, min_column_width=230, border=True)
    conditions = []
    for draw, span in _filling([(draw, span) for draw, field, span in CARDS if field in (None, *shown.numbers.filled)]):
        with wall.cell(column_span=span):
            conditions.append(draw(shown))
    return next((condition for condition in conditions if condition), None)


def _filling(cards: list[tuple[Card, int]]) -> list[tuple[Card, int]]:
    """The cards with their spans, the last one of each row as wide as what is left of it."""
    filled, used = list[tuple[Card, int]](), 0
    for draw, span in [*cards, (growth, COLUMNS)]:  # the one at the end closes the last row
        if used and used + span > COLUMNS:
            last, its_span = filled.pop()
            filled.append((last, its_span + COLUMNS - used))
            used = 0
        filled.append((draw, span))
        used += span
    return filled[:-1]


def growth(shown: Shown) -> Condition | None:
    total, rows = 0, []
    for month, new in shown.numbers.months.items():
        total += new
        rows.append((month, new, total))
    rows = rows[-shown.months :] if shown.months else rows
    chart = Chart("Growth", ("Month", "New contacts", "All contacts"), rows, "New contacts, by month added")
    with shown.card(chart):
        clicked = months(chart)
    month = next((month for month in shown.numbers.months if str(month) == clicked), None)
    return None if month is None else ("added.between", _month(month))


def _month(first: date) -> list[str]:
    return [f"{first},{(first + timedelta(days=31)).replace(day=1) - timedelta(days=1)}"]


def seniority(shown: Shown) -> Condition | None:
    return _declared("Seniority", "seniority", SENIORITIES, shown)


def email_status(shown: Shown) -> Condition | None:
    return _declared("E-mail status", "email_status", EMAIL_STATUSES, shown)


def _declared(name: str, field: str, declared: tuple[str, ...], shown: Shown) -> Condition | None:
    """The values in their declared order, then the commonest of what else files brought."""
    counts = shown.numbers.values[field]
    ordered = [*(value for value in declared if value in counts), *(one for one in counts if one not in declared)]
    rows = [(value, counts[value]) for value in ordered]
    colours = [token(f"{STATUS_COLOURS.get(value, 'gray')}Color") for value in ordered[:ORDERED]]
    clicked = _ranked(name, field, rows, ORDERED, shown, colours if field == "email_status" else None)
    return None if clicked is None else (field, [clicked])


def top_countries(shown: Shown) -> Condition | None:
    """With all spellings of one country in one bar, as on the map."""
    places, unplaced = placed(shown.numbers.values["country"])
    every = places + [Place("", contacts, [value]) for value, contacts in unplaced.items()]
    every.sort(key=lambda place: (-place.contacts, place.spellings[0]))
    rows = [(place.spellings[0], place.contacts) for place in every]
    clicked = _ranked("Top countries", "country", rows, RANKED, shown)
    return None if clicked is None else ("country", _spellings(clicked, every))


def top_industries(shown: Shown) -> Condition | None:
    rows = list(shown.numbers.values["industry"].items())
    clicked = _ranked("Top industries", "industry", rows, RANKED, shown)
    return None if clicked is None else ("industry", [clicked])


def _ranked(
    name: str, field: str, rows: list[tuple[str, int]], most: int, shown: Shown, colours: list[str] | None = None
) -> str | None:
    """The card of a ranking of `most` rows, with all of them as its data."""
    chart = Chart(name, (label(field), CONTACTS), rows[:most], rest=rows[most:] + _others(field, shown))
    with shown.card(chart):
        if rows:
            return ranking(chart, colours=colours)
        st.caption(f"No contact here has a value for {label(field)}.")
        return None


def _others(field: str, shown: Shown) -> list[tuple[str, int]]:
    """What a file of the data would miss: rarer values and empty fields, so that its sum is that of all contacts."""
    numbers = shown.numbers
    rows = [("(other values)", numbers.beyond(field)), ("(empty)", numbers.total - numbers.filled[field])]
    return [(words, contacts) for words, contacts in rows if contacts]


def world_map(shown: Shown) -> Condition | None:
    places, unplaced = placed(shown.numbers.values["country"])
    rows = [(place.spellings[0], place.contacts) for place in places]
    rest = list(unplaced.items()) + _others("country", shown)
    chart = Chart("Where they are", (label("country"), CONTACTS), rows, "Contacts by country", rest)
    with shown.card(chart):
        clicked = world(chart, places, height=HEIGHT - (UNPLACED_HEIGHT if unplaced else 0))
        if unplaced:
            st.caption(unplaced_words(unplaced))
    return None if clicked is None else ("country", _spellings(clicked, places))


def _spellings(clicked: str, places: list[Place]) -> list[str]:
    """Those of the country that one of them was clicked of; by now it may have more, or no contact at all."""
    return next((place.spellings for place in places if clicked in place.spellings), [clicked])


def completeness(shown: Shown) -> Condition | None:
    """The least complete of the fields that any contact has; the others are named. A click means the contacts without
    the field: those are to be completed."""
    numbers = shown.numbers
    fields = sorted(numbers.filled, key=lambda name: numbers.filled[name])
    rows = [
        (
            label(name),
            100 * numbers.filled[name] / numbers.total,
            numbers.filled[name],
            numbers.total - numbers.filled[name],
        )
        for name in fields
    ]
    empty, some = [row for row in rows if not row[2]], [row for row in rows if row[2]]
    note = f"Lowest {LEAST} of {len(some)}" if len(some) > LEAST else ""
    headers = ("Field", "Filled, %", "Contacts with it", "Contacts without it")
    chart = Chart("Completeness by field", headers, some[:LEAST], note, some[LEAST:] + empty)
    with shown.card(chart):
        clicked = shares(chart) if some else None
        if empty:
            st.caption(empty_words([row[0] for row in empty]))
    field = next((name for name in fields if label(name) == clicked), None)
    return None if field is None else (f"{field}.empty", ["yes"])


def empty_words(labels: list[str]) -> str:
    """“2 fields are empty: Notes, Facebook”; of very many the first are named."""
    more = f" and {len(labels) - NAMED} more" if len(labels) > NAMED else ""
    return f"{formats.counted(len(labels), 'field is', 'fields are')} empty: {', '.join(labels[:NAMED])}{more}"


CARDS: list[
    tuple[Card, str | None, int]
] = [  # with the field that one has to see, and how many of four columns it takes
    (growth, None, 2),
    (seniority, "seniority", 1),
    (email_status, "email_status", 1),
    (world_map, "country", 2),
    (top_countries, "country", 1),
    (top_industries, "industry", 1),
    (completeness, None, 4),
]
