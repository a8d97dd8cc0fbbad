"""One pair side by side: what differs, whose value is taken, and what to do with it."""

from collections.abc import Sequence
from typing import NoReturn

import streamlit as st

from dashboard import formats, places
from dashboard.widgets import page
from dashboard.widgets.duplicate_choice import choices, same_fields
from dashboard.widgets.duplicate_reasons import reasons
from dashboard.widgets.page import plain
from dashboard.widgets.press import pressed
from dashboard.widgets.said import say
from models.contacts import merging, merging_many
from models.contacts.merge_choice import Proposal
from models.duplicates import pairs
from models.duplicates.pairs import Pair, Wanted
from models.duplicates.tables import Decision
from models.errors import AppError
from models.permissions import Actor

AT, DONE, ALL = "pair shown", "duplicates done last", "whole group"
Done = tuple[str, tuple[int, ...]]  # "merge" or "merges" and their numbers, or "pair" and its two contacts


def review(wanted: Wanted, total: int, *, by: Actor) -> None:
    """The pair at the place where the person is in the queue."""
    place = min(st.session_state.get(AT, 0), total - 1)
    found = pairs.page(wanted, size=1, offset=place, by=by)
    if not found:  # decided by somebody else just now
        st.rerun()
    pair = found[0]
    ids = _group(pair, by)
    with page.refusals():
        made = merging.proposal(ids, survivor_id=_survivor(ids), by=by)
        _pair(pair, made, wanted, place, total, by)


def _pair(pair: Pair, made: Proposal, wanted: Wanted, place: int, total: int, by: Actor) -> None:
    wall = st.grid(3, min_column_width=260, gap="small")
    with wall.cell(column_span=2):
        with st.container(border=True, gap="small"):
            actions = st.container(
                horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="xsmall"
            )
            _signs(pair)
            chosen = choices(made)
        same_fields(made)
    with wall.cell():
        reasons(pair)
    with actions:
        _actions(pair, made, chosen, wanted, by)
        _arrows(place, total)


def _signs(pair: Pair) -> None:
    if pair.changed:
        which = " and ".join(map(str, pair.changed))
        st.caption(f":material/update: Contact {which} changed since the search: values are fresh, the weight is not.")
    if pair.decision:
        st.caption(
            f":material/how_to_reg: {pair.decision.capitalize()}, said {plain(pair.decided_by or '')} "
            f"on {formats.moment(pair.decided_at)}."
        )


def _group(pair: Pair, by: Actor) -> Sequence[int]:
    """The pair, or all that were found to be the same as both, where the person wants them at once."""
    if pair.cluster_id is None or pair.decision:
        return pair.ids
    group = pairs.cluster(*pair.ids, most=merging.MOST, by=by)
    if len(group) > 2 and st.toggle(f"All {len(group)} that hang together", key=f"{ALL} {pair.cluster_id}"):
        return group
    return pair.ids


def _survivor(ids: Sequence[int]) -> int | None:
    chosen = st.session_state.get("survivor chosen")
    return chosen if chosen in ids else None


def _actions(pair: Pair, made: Proposal, chosen: dict[str, int], wanted: Wanted, by: Actor) -> None:
    with st.container(horizontal=True, width="content", gap="xsmall"):
        if pressed("Merge", key="merge pair", icon=":material/merge:", type="primary", help="Key M", shortcut="M"):
            _merge(made, chosen, by)
        if pair.decision != Decision.NOT_SAME and pressed(
            "Not the same", key="keep apart", icon=":material/close:", help="No search finds them again.", shortcut="N"
        ):
            _decide(pair, Decision.NOT_SAME, by)
        if pair.decision is None and pressed("Later", key="put off", icon=":material/schedule:", shortcut="L"):
            _decide(pair, Decision.LATER, by)
        if pair.decision and pressed("Open again", key="open again", icon=":material/undo:"):
            _withdraw(pair.ids, by)


def _arrows(place: int, total: int) -> None:
    def turn(by: int) -> None:
        st.session_state[AT] = max(0, min(total - 1, place + by))

    with st.container(horizontal=True, width="content", vertical_alignment="center", gap="xsmall"):
        st.caption(f"{formats.number(place + 1)} of {formats.number(total)}", width="content")
        for label, way, shortcut, step in (("Previous pair", "up", "K", -1), ("Next pair", "down", "J", 1)):
            st.button(
                "", key=label, icon=f":material/keyboard_arrow_{way}:", help=label, type="tertiary", shortcut=shortcut,
                disabled=not 0 <= place + step < total, on_click=turn, args=(step,),
            )  # fmt: skip


def _merge(made: Proposal, chosen: dict[str, int], by: Actor) -> None:
    versions = {record.id: record.version for record in made.records}
    with page.refusals():
        merge_id = merging.merge(made.survivor_id, versions, chosen, by=by)
        did(("merge", (merge_id,)), f"Merged into contact {made.survivor_id}")


def _decide(pair: Pair, decision: Decision, by: Actor) -> None:
    with page.refusals():
        pairs.decide(*pair.ids, decision, by=by)
        did(("pair", pair.ids), f"{pair.left_label} and {pair.right_label}: {decision.value}")


def _withdraw(ids: tuple[int, ...], by: Actor) -> None:
    with page.refusals():
        pairs.withdraw(*ids[:2], by=by)
        say("The pair is open again")


def did(done: Done, sentence: str) -> NoReturn:
    st.session_state[DONE] = (done, sentence)
    say(sentence)


def last_act(*, by: Actor) -> None:
    """What was done last here, with its undo."""
    known: tuple[Done, str] | None = st.session_state.get(DONE)
    if known is None:
        return
    (what, ids), sentence = known
    with st.container(border=True, horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f":green[:material/check_circle:] {plain(sentence)}.", width="content")
        with st.container(horizontal=True, width="content", gap="xsmall"):
            if pressed("Undo", key="undo last", icon=":material/undo:", shortcut="U"):
                st.session_state.pop(DONE)
                _undo(what, ids, by)
            if st.button("", icon=":material/close:", help="Put this away", type="tertiary", key="put act away"):
                st.session_state.pop(DONE)
                st.rerun()


def _undo(what: str, ids: tuple[int, ...], by: Actor) -> None:
    if what == "pair":
        _withdraw(ids, by)
    elif what == "merges":
        with page.refusals(passing=True):
            say(f"{formats.counted(merging_many.unmerge(ids, by=by), 'contact')} came back")
    else:
        unmerge(ids[0], by=by)


def unmerge(merge_id: int, *, by: Actor) -> None:
    """Takes it apart, and says what came back and what was kept."""
    try:
        done = merging.unmerge(merge_id, by=by)
    except AppError as error:
        page.refusal(error.sentence, passing=True)
        return
    kept = f"; kept, as changed since: {', '.join(done.kept)}" if done.kept else ""
    say(f"{formats.counted(len(done.restored), 'contact')} came back{kept}")


def open_contact(contact_id: int) -> None:
    places.go("contact", {"id": str(contact_id)})
