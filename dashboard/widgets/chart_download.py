"""A chart's two downloads: as a picture, made in the browser, and as data."""

import csv
import io
from datetime import date
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.widgets.page import token
from models.spreadsheet_formulas import marked

BUTTON = '<button type="button"><span aria-hidden="true">image</span>Picture (PNG)</button>'
STYLE = """
button { width: 100%; min-height: 2.5rem; display: flex; align-items: center; justify-content: center; gap: 0.5rem;
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius); background: none; cursor: pointer;
  color: var(--st-text-color); font: 400 1rem var(--st-font); }
button:hover { color: var(--st-primary-color); border-color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); }
span { font: 400 1.25rem/1 "Material Symbols Rounded"; }
"""


def downloads(name: str, *, chart: str, note: str, rows: list[tuple[Any, ...]] | None) -> None:
    """A small menu. `chart` is the key of the chart's element, `note` a line below the picture's title.

    `rows`, headers first, are the data; None where the person may not export.
    """
    file = name.lower().replace(" ", "-")
    with st.popover("", icon=":material/download:", type="tertiary", help=f"Download “{name}”", key=f"download {file}"):
        colours = {"ground": token("backgroundColor"), "ink": token("textColor"), "grey": token("grayTextColor")}
        said = {"chart": f"st-key-{chart}", "title": name, "note": note, "file": f"{file}.png"}
        _picture_button()(data=said | colours, key=f"picture {file}")
        if rows is not None:
            st.download_button(
                "Data (CSV)",
                as_csv(rows),
                f"{file}.csv",
                "text/csv",
                icon=":material/table:",
                key=f"data {file}",
                on_click="ignore",
                width="stretch",
            )


def as_csv(rows: list[tuple[Any, ...]]) -> bytes:
    """UTF-8 with its mark, which Excel needs; a month is 2026-11; no cell is read as a formula."""
    text = io.StringIO()
    csv.writer(text).writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode("utf-8-sig")


def _cell(value: Any) -> Any:
    if isinstance(value, date):
        return f"{value:%Y-%m}"
    return marked(value) if isinstance(value, str) else value


def _picture_button() -> Any:
    script = Path(__file__).with_name("chart_picture.js").read_text()
    return st.components.v2.component("chart_picture", html=BUTTON, css=STYLE, js=script)
