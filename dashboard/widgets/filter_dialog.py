"""Adds a filter: any field that the person may see, the comparisons that fit it, and its values."""

from datetime import date

import streamlit as st

from dashboard import address, cached, formats, session
from dashboard.address import View
from dashboard.parts import dialog
from dashboard.widgets import columns, page
from dashboard.widgets.confirm import confirmed
from dashboard.widgets.page import plain
from models.contacts.table import FIELDS
from models.errors import InvalidInput
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
    counts = _stored(field, operator, view, by)
    if not counts:
        joint = "neither value may hold" if operator == "not" else "either value will do"
        typed = _typed("Value", key, hint=f"With the same comparison added again, {joint}.")
        return [typed] if typed else []
    return st.multiselect(
        "Values",
        list(counts),
        accept_new_options=True,
        key=key,
        placeholder="Choose or type",
        filter_mode="contains",
        select_all=False,  # it would be what Enter takes, before the value that was typed
        format_func=lambda value: f"{value} · {formats.number(counts[value])}" if value in counts else value,
    )


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
    """The field's values among the contacts of the other filters, commonest first, where they are few enough."""
    if operator not in ("is", "has", "not") or not (field.kind in FREQUENT or field.name in OFFERED_TEXT):
        return {}
    return {str(value): count for value, count in cached.facet(view.filters, field.name, by=by).items()}


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
