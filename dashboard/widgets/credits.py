"""A person's download credits: what is left, and where they went."""

import pandas as pd
import streamlit as st

from dashboard import formats
from models import credits
from models.credits import Balance, Entry, Kind
from models.permissions import OPERATOR, Actor

LINES = 10
ROW_HEIGHT = 32


def balance(by: Actor) -> None:
    """One's own: the numbers of the month, and the latest lines of the ledger."""
    found = credits.balance(by=by)
    numbers(found)
    lines = [line for line in credits.entries(by=by, limit=LINES) if not _is_of_no_limit(line)]
    if lines:
        _table(lines, pools=found.limit is not None)
    else:
        st.caption("Nothing was taken out or granted yet.")


def numbers(found: Balance) -> None:
    until = formats.day(found.renews)
    with st.grid(3, min_column_width=140, border=True, gap="xsmall"):
        with st.container(gap=None):
            st.metric("Left this month", "No limit" if found.left is None else formats.number(found.left))
            st.caption("all is counted" if found.limit is None else f"of {formats.number(found.limit)} until {until}")
        with st.container(gap=None):
            st.metric("Used this month", formats.number(found.used))
            st.caption("one for each contact")
        with st.container(gap=None):
            st.metric("Granted", formats.number(found.lasting))
            st.caption("left, and they last")


def words(found: Balance) -> str:
    """“310 credits until 1 Dec 2026 and 90 that last”, as in “You have …”."""
    if found.left is None:
        return "no limit of credits"
    monthly = f"{formats.counted(found.left, 'credit')} until {formats.day(found.renews)}"
    return f"{monthly} and {formats.number(found.lasting)} that last" if found.lasting else monthly


def _is_of_no_limit(line: Entry) -> bool:
    """What the ledger gives to who has no limit, just before it is taken."""
    return line.entry.kind == Kind.ALLOWANCE and line.entry.note is not None


def _table(lines: list[Entry], *, pools: bool) -> None:
    """Without a limit there is no pool that could be told."""
    config = st.column_config
    st.dataframe(
        pd.DataFrame([_row(line) for line in lines]),
        hide_index=True,
        row_height=ROW_HEIGHT,
        height="content",
        placeholder="–",
        column_order=["when", "what", "credits", *(["left", "of"] if pools else []), "why"],
        column_config={
            "when": config.DatetimeColumn(
                "When", width=140, format=formats.pattern(clock=True), timezone=formats.time_zone()
            ),
            "what": config.TextColumn("What", width=85),
            "credits": config.NumberColumn("Credits", width=70, format="localized"),
            "left": config.NumberColumn("Left", width=70, format="localized"),
            "of": config.TextColumn("Of", width=80),
            "why": config.TextColumn("For", width=260),
        },
        alt="Download credits",
    )


def _row(line: Entry) -> dict[str, object]:
    entry = line.entry
    return {
        "when": entry.at,
        "what": line.word.capitalize(),
        "credits": entry.amount,
        "left": entry.balance,
        "of": formats.month(entry.month) if entry.month else "Granted",
        "why": _reason(line),
    }


def _reason(line: Entry) -> str | None:
    entry = line.entry
    if entry.export_id:
        return f"Export {entry.export_id}"
    if entry.kind in (Kind.GRANT, Kind.PURCHASE, Kind.TAKEN_BACK):
        return f"{entry.note or 'No note'} ({line.by_name or OPERATOR.name})"
    return "Copied" if entry.kind == Kind.SETTLED else entry.note
