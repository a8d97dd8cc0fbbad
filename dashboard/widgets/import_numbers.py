"""What becomes of the rows of an import, in five numbers and one bar."""

import streamlit as st

from dashboard import formats
from dashboard.widgets import page
from models.imports import Import

PARTS = {"Created": "green", "Updated": "blue", "Unchanged": "gray", "Duplicates": "violet", "Rejected": "red"}


def numbers(found: Import) -> None:
    """The sum is always the rows of the file."""
    counts = {name: int(getattr(found, name.lower())) for name in PARTS}
    with st.grid(len(PARTS), min_column_width=130, gap="small"):
        for name, count in counts.items():
            share = f"{formats.share(count, found.rows)} of rows" if found.rows else "no rows"
            label = f":{PARTS[name]}[●] {name}"
            st.metric(label, formats.number(count), share, delta_color="off", delta_arrow="off", border=True)
    _bar(counts, found.rows)
    summed = " + ".join(f"{formats.number(count)} {name.lower()}" for name, count in counts.items())
    st.caption(f"{summed} = {formats.counted(found.rows, 'row')} in the file")


def _bar(counts: dict[str, int], rows: int) -> None:
    if not rows:
        return
    said = ", ".join(f"{name} {formats.share(count, rows)}" for name, count in counts.items())
    pieces = "".join(
        f'<span style="flex:{count} 0 0;min-width:3px;background:{page.css_colour(f"{PARTS[name]}Color")}" '
        f'title="{name}: {formats.number(count)}"></span>'
        for name, count in counts.items()
        if count
    )
    st.html(f'<div role="img" aria-label="{said}" style="display:flex;gap:2px;height:20px">{pieces}</div>')
