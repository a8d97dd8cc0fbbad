"""The plan of an import: what it will do, before anything is written, and the button that writes it."""

from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import cached, formats, session
from dashboard.widgets import import_changes, import_drift, import_memory, import_rejects, page
from dashboard.widgets.import_mapping import KEEP_WORDS, MATCH_WORDS, newer_words
from dashboard.widgets.import_numbers import numbers
from dashboard.widgets.import_orders import ask
from dashboard.widgets.import_values import shown
from dashboard.widgets.page import plain
from models import imports
from models.imports import Changed, Import, Keep, MatchRule, State

ROW_HEIGHT, MOST_ROWS = 33, 12
MOST_NAMED = 20  # columns


def plan_step(found: Import) -> None:
    import_memory.recalled(found, changing=False)
    import_changes.moved(found)
    numbers(found)
    import_drift.what_stands_out(found)
    _commit(found)  # at the foot of the window, also where one of the cards cannot be drawn
    wall = st.grid(3, min_column_width=300, gap="small", border=True)
    with wall.cell(column_span=2):
        _changes(found)
    with wall.cell(), page.card("Rejected", formats.counted(found.rejected, "row"), border=False):
        import_rejects.reasons(found)
    import_changes.rows(found)
    account(found)


def account(found: Import) -> None:
    """What is said with the plan, and stays."""
    wall = st.grid(2, min_column_width=300, gap="small", border=True)
    with wall.cell():
        _quality(found)
    with wall.cell():
        _kept_in_extra(found)
    import_rejects.rows(found)


def _changes(found: Import) -> None:
    changed = cached.changed_values(found, by=session.actor())
    values = sum(one.contacts for one in changed)
    note = f"{formats.counted(found.updated, 'contact')} · {formats.counted(values, 'value')}"
    with page.card("What would change", note, border=False):
        if not changed:
            st.caption("No contact that is here already would change.")
            return
        _changes_table(found, changed)


def _changes_table(found: Import, changed: list[Changed]) -> None:
    config = st.column_config
    with_rows = imports.sees_all(session.actor())
    table = pd.DataFrame([({"rows": "Rows"} if with_rows else {}) | _change(one) for one in changed])
    st.dataframe(
        table,
        hide_index=True,
        row_height=ROW_HEIGHT,
        height="content" if len(changed) <= MOST_ROWS else (MOST_ROWS + 1) * ROW_HEIGHT,
        placeholder="–",
        alt="Fields that the plan changes, with examples",
        column_config={
            **import_changes.rows_button(found, [one.field for one in changed]),
            "field": config.TextColumn("Field", width=130),
            "contacts": config.NumberColumn("Contacts", width=80, format="localized"),
            "now": config.TextColumn("Now (example)", width=170),
            "after": config.TextColumn("After", width=170),
            "more": config.ListColumn("Others", width=260),
        },
    )


def _change(one: Changed) -> dict[str, Any]:
    pairs = [(shown(now), shown(after)) for now, after in one.examples]
    first, *others = pairs or [(None, None)]
    return {
        "field": import_changes.label(one.field),
        "contacts": one.contacts,
        "now": first[0],
        "after": first[1],
        "more": [f"{now or formats.MISSING} → {after or formats.MISSING}" for now, after in others],
    }


def _quality(found: Import) -> None:
    """The rules that too many rows break, in words."""
    verdicts = imports.checks(found.id, by=session.actor())
    broken = [one for one in verdicts if not one.success]
    note = f"{formats.number(len(verdicts) - len(broken))} of {formats.counted(len(verdicts), 'rule')} hold"
    with page.card("Quality of the rows", note if verdicts else "", border=False):
        if not verdicts:
            st.caption("The rules were not run.")
        elif not broken:
            st.markdown(":green[:material/check_circle:] Every rule holds.")
        if tolerated := [one for one in verdicts if one.is_tolerated]:
            number = formats.counted(sum(one.failing for one in tolerated), "value")
            st.caption(f"{number} within the tolerance of {formats.counted(len(tolerated), 'rule')}:")
            for one in tolerated:
                sentence = plain((one.details or {}).get("sentence", one.name))
                st.caption(f"{formats.number(one.failing)} of {formats.number(one.checked)}: {sentence}")
        for one in broken:
            details = one.details or {}
            st.markdown(f":orange[:material/warning:] {plain(details.get('sentence', one.name))}")
            where = f"{formats.counted(one.failing, 'row')} of {formats.number(one.checked)} break this"
            different = list(dict.fromkeys(details.get("examples", ())))
            examples = ", ".join(f"“{plain(example)}”" for example in different[:3])
            st.caption(where + (f", such as {examples}" if examples else ""))


def _kept_in_extra(found: Import) -> None:
    """The values that did not fit their field, by column."""
    notes = imports.notes(found.id, by=session.actor())
    total = sum(one.count for one in notes)
    with page.card("Kept in extra", formats.counted(total, "value") if notes else "", border=False):
        _left_out(found.left_out)
        if not notes:
            st.caption("Every value fits its field.")
            return
        table = pd.DataFrame(
            {
                "Column": [one.header for one in notes],
                "Values": [formats.number(one.count) for one in notes],
                "Example": [shown(one.example) for one in notes],
            }
        ).dropna(axis="columns", how="all")
        st.caption("These rows come in; the values do not fit their field, and are kept beside it.")
        st.dataframe(
            table, hide_index=True, row_height=ROW_HEIGHT, height="content" if len(notes) <= 8 else 9 * ROW_HEIGHT,
            placeholder="–", alt="Values kept in extra",
        )  # fmt: skip


def _left_out(headers: list[str]) -> None:
    if not headers:
        return
    more = f" and {formats.number(len(headers) - MOST_NAMED)} more" if len(headers) > MOST_NAMED else ""
    st.caption(
        f"Left out: {', '.join(map(plain, headers[:MOST_NAMED]))}{more}. They stay in the stored file, and in that of "
        "rejected rows."
    )


def _commit(found: Import) -> None:
    planned = found.planned or {}
    made = datetime.fromisoformat(planned["at"]) if "at" in planned else None
    changes = found.created + found.updated
    rule, keep = MATCH_WORDS[MatchRule(found.match)], KEEP_WORDS[Keep(found.keep)]
    with st.bottom, st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        newer = Keep.NEWER in (found.keep, *found.keep_fields.values())
        st.caption(
            f"Planned on {formats.moment(made)} · matched by: {rule} · {keep}{but(found)}. It can be undone.",
            width="content",
            help=newer_words(found, found.dated_by) if newer else None,
        )
        with st.container(horizontal=True, width="content", gap="xsmall"):
            if st.button("Back"):
                st.query_params["step"] = "map"
                st.rerun()
            label = f"Commit {formats.counted(changes, 'change')}" if changes else "Finish: nothing changes"
            pressed = st.button(label, type="primary", disabled=import_drift.waits(found))
    if pressed:
        with st.bottom:
            ask(found, State.COMMITTED, plan=planned.get("at"))


def but(found: Import) -> str:
    """The fields of another policy."""
    by_policy: dict[Keep, list[str]] = {}
    for name, keep in found.keep_fields.items():
        by_policy.setdefault(Keep(keep), []).append(import_changes.label(name))
    return "".join(f"; {', '.join(names)}: {KEEP_WORDS[keep].lower()}" for keep, names in by_policy.items())
