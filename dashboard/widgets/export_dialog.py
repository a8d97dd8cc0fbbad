"""Asks what an export shall hold, and requests it."""

import streamlit as st

from dashboard import formats, session
from dashboard.address import View
from dashboard.parts import dialog
from dashboard.widgets import columns, page
from dashboard.widgets.confirm import confirmed
from dashboard.widgets.credits import words
from dashboard.widgets.export_progress import start
from dashboard.widgets.page import plain
from models import credits, exports
from models.contacts.search import SORTABLE_SYSTEM
from models.contacts.table import FIELDS
from models.credits import Balance
from models.errors import NotEnoughCredits
from models.filters import visible_fields
from models.permissions import Actor
from models.settings import settings

FORMULAS = (
    "Otherwise a cell that looks like a formula is written as plain text. "
    "In a spreadsheet a stranger's formula can run programs and send your data away."
)
FREE = "One for each contact; those that you took out in this month already are free."
SPREADSHEETS = ("csv", "xlsx")
FORMATS = {"csv": "CSV", "xlsx": "Excel", "parquet": "Parquet", "jsonl": "JSON lines"}
WORDS = {
    "csv": "One line of text for each contact, in UTF-8: for spreadsheets, CRMs and importing here again.",
    "xlsx": "Numbers and dates as such under bold labels; what does not fit into one sheet goes on in the next.",
    "parquet": "Typed, compressed columns for data tools such as DuckDB, pandas or Spark.",
    "jsonl": "One JSON object on each line, numbers and lists as such: for programs.",
}
SHOWN, ALL, SOME = "shown", "all", "some"  # columns
LONGEST = 200  # characters of the filter's sentence


def export_dialog(view: View, total: int, ids: list[int] | None = None) -> None:
    """`total` contacts: all that the view's filters match, or those with `ids`.

    What it costs is counted once, before the dialog opens: it does not depend on what is chosen there.
    """
    with page.refusals(passing=True):  # counting took too long
        by = session.actor()
        _dialog(view, total, ids, credits.cost(view.filters, ids, by=by), credits.balance(by=by))


@dialog("Export contacts", icon=":material/download:", width="medium")
def _dialog(view: View, total: int, ids: list[int] | None, cost: int, balance: Balance) -> None:
    by = session.actor()
    sentence = "the selected rows" if ids else view.filters.sentence(formats.value)
    st.markdown(f"**{formats.counted(total, 'contact')}** · {plain(_shortened(sentence))}")
    left, right = st.columns(2)
    with left:
        file_format = st.segmented_control(
            "Format", list(FORMATS), default="csv", required=True, format_func=FORMATS.__getitem__
        )
    with right:
        which, chosen = _columns(view, by)
    st.caption(WORDS[file_format])
    if which == SOME:
        every = [*exports.checked_columns(None, by=by), *SORTABLE_SYSTEM]
        chosen = st.multiselect("In this order", every, default=chosen, format_func=_label, placeholder="At least one")
    raw = st.checkbox("Leave formulas as they are", help=FORMULAS, disabled=file_format not in SPREADSHEETS)
    _numbers(total, chosen, cost)
    enough = _enough(cost, balance)
    st.caption(_note(by))
    if confirmed(f"Export {formats.counted(total, 'contact')}", disabled=not chosen or not enough):
        _request(view, ids, chosen, file_format, raw and file_format in SPREADSHEETS, by)


def _columns(view: View, by: Actor) -> tuple[str, list[str]]:
    """What the table shows, everything, or a choice that begins with the former."""
    shown = columns.needed(columns.of_view(view, by=by))
    every = exports.checked_columns(None, by=by)
    names = {SHOWN: f"Shown ({formats.number(len(shown))})", ALL: f"All ({formats.number(len(every))})", SOME: "Choose"}
    which = st.segmented_control("Columns", list(names), default=SHOWN, required=True, format_func=names.__getitem__)
    return which, every if which == ALL else shown


def _label(name: str) -> str:
    return "Extra: what no field took" if name == exports.EXTRA else columns.label(name)


def _numbers(total: int, chosen: list[str], cost: int) -> None:
    with st.grid(3, min_column_width=130, border=True, gap="xsmall"):
        st.metric("Contacts", formats.number(total))
        st.metric("Columns", formats.number(len(chosen)))
        st.metric("Takes credits", formats.number(cost), help=FREE)


def _enough(cost: int, balance: Balance) -> bool:
    """Says what the person has, or why that is not enough."""
    try:
        balance.require(cost)
    except NotEnoughCredits as error:
        page.refusal(error.sentence)
        return False
    st.caption(f"You have {words(balance)}.")
    return True


def _note(by: Actor) -> str:
    days = formats.counted(settings().days_kept_exports, "day")
    hidden = len(FIELDS) - len(visible_fields(by))
    left_out = f" {formats.counted(hidden, 'field is', 'fields are')} hidden for you and left out." if hidden else ""
    return (
        "The file is made in the background: you find it here and under Exports. "
        f"It is kept for {days}, its receipt for good.{left_out}"
    )


def _request(view: View, ids: list[int] | None, chosen: list[str], file_format: str, raw: bool, by: Actor) -> None:
    with page.refusals():  # what the person may see was changed meanwhile
        export_id = exports.request(
            filters=view.filters, columns=chosen, format=file_format, ids=ids, raw_formulas=raw, by=by
        )
        session.remembered().export_id = export_id
        start(export_id)
        st.rerun()


def _shortened(sentence: str) -> str:
    return sentence if len(sentence) <= LONGEST else sentence[: LONGEST - 1] + "…"
