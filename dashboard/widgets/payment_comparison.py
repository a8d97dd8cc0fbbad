"""The last comparison with Razorpay, what it left for a person, and asking for another one."""

import streamlit as st

from dashboard import flow_runs, formats, session
from dashboard.parts import part
from dashboard.widgets import page
from dashboard.widgets.page import badge, plain
from models.payments import gateway, reconciliations
from models.payments.reconciliations import DAYS, DONE, FAILED, MOST_DAYS, OPEN, Comparison, Found
from models.permissions import Permission

MOST = 50  # findings shown
LOOK = "2s"


def comparison() -> None:
    latest = reconciliations.latest(by=session.actor())
    open_ = latest is not None and latest.state in OPEN
    part(_shown, run_every=LOOK if open_ else None)(open_)


def _shown(was_open: bool) -> None:
    by = session.actor()
    latest, found = reconciliations.latest(by=by), reconciliations.findings(by=by)
    if was_open and (latest is None or latest.state not in OPEN):
        st.rerun()  # the whole page once more, without the clock
    with page.card("The last comparison", "By schedule, and when you ask for it"):
        st.markdown(_story(latest))
        if by.may(Permission.PAYMENTS_MANAGE):
            _ask(was_open)
    with page.card("Left for a person", formats.counted(len(found), "finding")):
        if found:
            _sentences(found)
        else:
            st.caption("Nothing: what is stored here is what Razorpay has.")


def _story(one: Comparison | None) -> str:
    """As Markdown."""
    if one is None:
        return "Nothing was compared yet."
    days, asked = formats.counted(one.days, "day"), f"by {plain(one.asked_by)}" if one.asked_by else "by itself"
    when = f"Asked for {formats.moment(one.asked_at)} {asked}, of {days}"
    if one.state == DONE:
        mended = "none differed" if not one.mended else f"**{formats.number(one.mended)}** differed and were put right"
        return f"{when}: **{formats.number(one.compared)}** compared, {mended}. Done {formats.moment(one.finished_at)}."
    if one.state == FAILED:
        return f"{when}: :red[it failed.] {plain(one.error or '')}"
    return f"{when}: it {'runs' if one.state != 'waiting' else 'waits for its turn'}."


def _ask(under_way: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        days = st.number_input("Last days", min_value=1, max_value=MOST_DAYS, value=DAYS, width=140)
        if st.button("Compare now", icon=":material/compare_arrows:", disabled=under_way or not gateway.ready()):
            with page.refusals():
                number = reconciliations.ask(days, by=session.actor())
                flow_runs.start_comparing(number)  # where it cannot, the sweep does within a minute
                st.rerun()


def _sentences(found: list[Found]) -> None:
    """Whole, where a table would cut them."""
    for one in found[:MOST]:
        st.markdown(f"{badge(plain(one.kind.capitalize()), 'yellow')} {plain(one.sentence)}")
        st.caption(f"Found first {formats.moment(one.first_at)}")
    if len(found) > MOST:
        st.caption(f"{formats.number(len(found) - MOST)} more follow once these are looked after.")
