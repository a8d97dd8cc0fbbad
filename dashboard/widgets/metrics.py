"""The few numbers at the head of the overview, each with the way to the contacts behind it."""

from dataclasses import dataclass

import streamlit as st

from dashboard import formats
from models.contacts.statistics import VERIFIED, Statistics

Condition = tuple[str, list[str]]  # a key of the filter syntax and its values
NO_CONDITION: Condition = ("", [])


@dataclass(frozen=True)
class Metric:
    """`contacts` are those that `condition` leaves; the metric is shown to who may see `field`."""

    label: str
    value: str
    detail: str
    condition: Condition | None = None
    field: str | None = None


def metrics(numbers: Statistics) -> Condition | None:
    """Four in a row, also on a tablet: rows of three would leave a hole. Returns the condition of what was clicked."""
    clicked = None
    wall = st.grid(4, min_column_width=160, border=True)
    for one in _metrics(numbers):
        if one.field is None or one.field in numbers.filled:
            with wall.cell(), st.container(gap="xxsmall"):
                st.metric(one.label, one.value)
                if _leads_on(one):
                    clicked = one.condition
    return clicked


def _leads_on(one: Metric) -> bool:
    if one.condition is None:
        st.caption(one.detail)
        return False
    return st.button(
        one.detail,
        type="tertiary",
        icon=":material/arrow_forward:",
        icon_position="right",
        key=f"see {one.label}",
        help="Show these contacts",
    )


def _metrics(numbers: Statistics) -> list[Metric]:
    total, filled = numbers.total, numbers.filled
    linked = filled.get("person_linkedin_url", 0)
    return [
        Metric("Contacts", formats.number(total), "See them", NO_CONDITION),
        Metric(
            "Verified e-mails",
            formats.share(numbers.verified, total),
            formats.counted(numbers.verified, "contact"),
            ("email_status", [VERIFIED]),
            "email_status",
        ),
        _of_filled("Companies", formats.number(numbers.companies), "company", numbers),
        Metric(
            "New in 7 days",
            formats.number(numbers.new),
            f"since {formats.day(numbers.new_since)}",
            ("added.gte", [numbers.new_since.isoformat()]),
        ),
        Metric(
            "With LinkedIn",
            formats.share(linked, total),
            formats.counted(linked, "contact"),
            ("person_linkedin_url.empty", ["no"]),
            "person_linkedin_url",
        ),
        Metric(
            "Fields filled",
            formats.share(sum(filled.values()), total * len(filled)),
            f"on average, of {formats.counted(len(filled), 'field')}",
        ),
        _of_filled("Average employees", formats.number(numbers.average_employees), "employees", numbers),
        _of_filled("Average revenue, $", formats.compact(numbers.average_revenue), "annual_revenue", numbers),
    ]


def _of_filled(label: str, value: str, name: str, numbers: Statistics) -> Metric:
    contacts = formats.counted(numbers.filled.get(name, 0), "contact")
    return Metric(label, value, f"of {contacts}", (f"{name}.empty", ["no"]), name)
