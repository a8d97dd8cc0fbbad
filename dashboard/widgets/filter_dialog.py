"""Adds a filter: any field that the person may see, the comparisons that fit it, and its values."""

from contextlib import suppress
from datetime import date
from typing import Any

import streamlit as st

from dashboard import address, cached, formats, session
from dashboard.address import View
from dashboard.parts import dialog
from dashboard.widgets import columns, page
from dashboard.widgets.confirm import confirmed
from dashboard.widgets.page import plain
from models.contacts import own_mirror, search
from models.contacts.table import FIELDS
from models.errors import InvalidInput, TooSlow
from models.fields import Field, Kind
from models.filters import OPERATORS, Filter, Filters, filterable, visible_checks
from models.permissions import Actor

WORDS = {
    "is": "is any of", "has": "has any of", "not": "is none of", "contains": "contains", "starts": "starts with",
    "gte": "at least", "lte": "at most", "between": "between", "empty": "is empty or filled",
}  # fmt: skip
NUMBERS = (Kind.WHOLE, Kind.MONEY)
REFUSED = "filter refused"
FREQUENT = (Kind.CHOICE, Kind.LIST, Kind.INDUSTRY, Kind.OWNER)  # kinds whose stored values are worth offering
OFFERED_TEXT = ("country", "city", "state", "company_country", "stage", "latest_funding")
EXACT = ("is", "has", "not")  # comparisons with a whole value
LONGEST_BEGIN = 200  # characters of what values are looked for by
MOST_ALTERNATIVES = 5
LONGEST = 40  # characters of a filter's sentence


@dialog("Add a filter", icon=":material/filter_list:", width="medium")
def filter_dialog(view: View) -> None:
    by = session.actor()
    known = filterable(by)
    name = st.selectbox("Field", list(known), format_func=lambda one: _label(known[one]))
    field = known[name]
    operator = _operator(field)
    values = _values(field, operator, view, by)
    group = _group(view.filters)
    if reason := _refused():
        page.refusal(reason)
    _add(view, f"or{group}.{name}.{operator}" if group else f"{name}.{operator}", values, by)


def _label(field: Field) -> str:
    return columns.label(field.name) if field.name in FIELDS else field.label


def _operator(field: Field) -> str:
    fitting = [word for word, one in OPERATORS.items() if field.kind in one.kinds]
    if field.kind in (Kind.WHOLE, Kind.MONEY, Kind.DATE):
        fitting.sort(key=["gte", "lte", "between", "is", "not", "empty"].index)
    words = WORDS | ({"is": "breaks any of", "not": "breaks none of"} if field.kind is Kind.CHECK else {})
    return st.selectbox("Comparison", fitting, format_func=words.get, key=f"comparison {field.name}")


def _values(field: Field, operator: str, view: View, by: Actor) -> list[str]:
    """The values as the address writes them; empty while nothing is chosen."""
    key = f"value {field.name} {operator}"
    if operator == "empty":
        filled = st.segmented_control("The field is", ["empty", "filled"], default="empty", required=True, key=key)
        return ["yes" if filled == "empty" else "no"]
    if field.kind is Kind.FLAG:
        return [st.segmented_control("Value", ["yes", "no"], default="yes", required=True, key=key)]
    if field.kind is Kind.CHECK:
        sentences = {rule.name: rule.sentence for rule in visible_checks(by)}
        return st.multiselect("Rules", list(sentences), key=key, format_func=sentences.__getitem__)
    if operator == "between":
        low, high = st.columns(2)
        with low:
            first = _one(field, "From", f"{key} from")
        with high:
            last = _one(field, "To", f"{key} to")
        return [f"{first},{last}"] if first and last else []
    if field.kind in (*NUMBERS, Kind.DATE):
        one = _one(field, "Value", key)
        return [one] if one else []
    return _chosen(field, operator, key, view, by)


def _chosen(field: Field, operator: str, key: str, view: View, by: Actor) -> list[str]:
    """Of a field's values some, or what is typed. Where they are more than are offered, what is typed narrows them."""
    counts, typed, listed = _stored(field, operator, view, by), "", f"{key} listed"
    before = st.session_state.get(listed, [])  # they stay chosen whatever is typed
    if not 0 < len(counts) < cached.FACET_VALUES:
        joint = "neither value may hold" if operator == "not" else "either value will do"
        typed = _typed("Value", key, hint=f"With the same comparison added again, {joint}.")
        if typed and operator in EXACT:
            counts = _beginning(field, operator, typed, view, by)
    st.session_state[listed] = before
    if not (counts or before):
        return [typed] if typed else []
    chosen = st.multiselect(
        "That begin so" if typed else "Values",
        list(dict.fromkeys([*before, *counts])),
        accept_new_options=True,
        key=listed,
        placeholder="Choose or type",
        filter_mode="contains",
        select_all=False,  # it would be what Enter takes, before the value that was typed
        format_func=lambda value: f"{value} · {formats.number(counts[value])}" if value in counts else value,
    )
    return chosen or ([typed] if typed else [])


def _one(field: Field, label: str, key: str) -> str:
    if field.kind is Kind.DATE:
        chosen: date | None = st.date_input(label, value=None, key=key, format="YYYY-MM-DD", min_value=date(1900, 1, 1))
        return chosen.isoformat() if chosen else ""
    return _number(label, key)


def _number(label: str, key: str) -> str:
    """As the person's locale writes it: Streamlit's own box takes “1.500.000” for 1."""
    typed = _typed(label, key, placeholder=formats.number(1500))
    if not typed:
        return ""
    try:
        return str(formats.parsed_number(typed))
    except InvalidInput as error:
        st.session_state[REFUSED] = error.sentence
        return ""


def _typed(label: str, key: str, *, placeholder: str = "", hint: str | None = None) -> str:
    """What stands in the box, while it is typed: nothing is lost for want of an Enter."""
    text: str = st.text_input(label, key=key, live="300ms", placeholder=placeholder, help=hint)
    return text.strip()


def _refused() -> str:
    """Why a value cannot be taken; told once."""
    return str(st.session_state.pop(REFUSED, ""))


def _stored(field: Field, operator: str, view: View, by: Actor) -> dict[str, int]:
    """The field's commonest values under all other filters; none where nearly every contact has another one, and where
    to count them takes too long."""
    others = _others(field, operator, view)
    is_soon = field.kind is Kind.TEXT and own_mirror.can_answer(others) and own_mirror.has_dictionary(field.column)
    if operator not in EXACT or not (field.kind in FREQUENT or field.name in OFFERED_TEXT or is_soon):
        return {}
    with suppress(TooSlow):
        return _written(cached.facet(others, field.name, by=by))
    return {}


def _beginning(field: Field, operator: str, typed: str, view: View, by: Actor) -> dict[str, int]:
    """None where it takes too long: what is typed can be taken all the same."""
    if field.name not in FIELDS or field.kind not in search.BEGUN or len(typed) > LONGEST_BEGIN:
        return {}
    with suppress(TooSlow):
        return _written(cached.beginning(_others(field, operator, view), field.name, typed, by=by))
    return {}


def _others(field: Field, operator: str, view: View) -> Filters:
    return view.filters.without(field.name if operator == "is" else f"{field.name}.{operator}")


def _written(counts: dict[Any, int]) -> dict[str, int]:
    return {str(value): count for value, count in counts.items()}


def _group(filters: Filters) -> int:
    """0 where the condition must hold; else the alternative that it belongs to."""
    groups = list(filters.alternatives)
    fresh = next((number for number in range(1, 100) if number not in groups), None)
    offered = [0, *groups, *([fresh] if fresh and len(groups) < MOST_ALTERNATIVES else [])]

    def words(group: int) -> str:
        if group == 0:
            return "and"
        if group == fresh:
            return "or this" if groups else "either this"
        return f"with “{_first(filters.alternatives[group])}”"

    return st.segmented_control(
        "Joined to the other filters",
        offered,
        default=0,
        required=True,
        format_func=words,
        help="With “and” a contact must match this as well. Of the filters joined by “either … or” one is enough.",
    )


def _first(group: list[Filter]) -> str:
    sentence = plain(group[0].sentence(formats.value))
    return sentence if len(sentence) <= LONGEST else f"{sentence[: LONGEST - 1]}…"


def _add(view: View, key: str, values: list[str], by: Actor) -> None:
    if confirmed("Add the filter", disabled=not values):
        with page.refusals():
            address.add_filter(view, key, values, by=by)
            st.rerun()
