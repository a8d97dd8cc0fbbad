"""Asks before a subscription is changed, paused, resumed or cancelled, and says what that means for charges."""

from collections.abc import Callable

import streamlit as st

from dashboard import formats, session
from dashboard.parts import dialog
from dashboard.widgets import page
from dashboard.widgets.confirm import confirmed
from dashboard.widgets.page import plain
from dashboard.widgets.said import say
from models.payments import subscriptions
from models.payments.offers import Sold
from models.payments.states import SubscriptionState
from models.payments.subscriptions import Own


def differing(old: Sold, new: Sold) -> str:
    """What a plan that is sold otherwise now is called to have."""
    return "terms" if old.price == new.price else "price"


@dialog("Change your plan?", icon=":material/swap_horiz:")
def change_dialog(mine: Own, wanted: Sold) -> None:
    is_new_price = wanted.code == mine.plan.code and wanted.id != mine.plan.id
    word = differing(mine.plan, wanted)
    if wanted.id == mine.plan.id:
        st.markdown(f"You stay with **{plain(wanted.title)}**.")
    elif is_new_price:
        old = f"{formats.money(mine.plan.price, mine.plan.currency)}, {formats.counted(mine.plan.credits, 'credit')}"
        st.markdown(f"You have **{plain(mine.plan.title)}** at its old {word}: {old} a month.")
        st.markdown(f"If you take the new {word}, you cannot go back to the old {word} once that is charged.")
    else:
        st.markdown(f"From **{plain(mine.plan.title)}** to **{plain(wanted.title)}**.")
    price, credits = formats.money(wanted.price, wanted.currency), formats.counted(wanted.credits, "credit")
    when = f"on {formats.day(mine.charge_at)}" if mine.charge_at else "with the next charge"
    st.caption(f"Nothing is charged now. {when[0].upper()}{when[1:]} it is {price}, which brings {credits}.")
    if confirmed(f"Take the new {word}" if is_new_price else "Change it"):
        at = f" at {price}" if is_new_price else ""
        said = f"Your subscription is {wanted.title}{at} from its next charge on."
        _carry_out(lambda: subscriptions.change(wanted.code, by=session.actor()), said)


@dialog("Cancel your subscription?", icon=":material/cancel:")
def cancel_dialog(mine: Own) -> None:
    if mine.state == SubscriptionState.ACTIVE:
        st.markdown(f"It ends on **{formats.day(mine.current_end)}**, with the month that is paid.")
        said = f"Your subscription ends on {formats.day(mine.current_end)}."
    else:
        st.markdown("It ends at once, and nothing is charged any more.")
        said = "Your subscription has ended."
    st.caption("The credits that you have stay yours. It cannot be taken back: you would start a new one.")
    if confirmed("Cancel it", no="Keep it"):
        _carry_out(lambda: subscriptions.cancel(by=session.actor()), said)


@dialog("Pause your subscription?", icon=":material/pause:")
def pause_dialog(mine: Own) -> None:
    st.markdown(f"**{plain(mine.plan.title)}** is not charged, and brings no credits, until you resume it.")
    if confirmed("Pause"):
        _carry_out(lambda: subscriptions.pause(by=session.actor()), "Your subscription is paused.")


@dialog("Resume your subscription?", icon=":material/play_arrow:")
def resume_dialog(mine: Own) -> None:
    price = formats.money(mine.plan.price, mine.plan.currency)
    st.markdown(f"**{plain(mine.plan.title)}** is charged again, {price} a month.")
    if confirmed("Resume"):
        _carry_out(lambda: subscriptions.resume(by=session.actor()), "Your subscription runs again.")


def stay(mine: Own) -> None:
    """Take back the wish for another plan."""
    _carry_out(lambda: subscriptions.change(mine.plan.code, by=session.actor()), f"You stay with {mine.plan.title}.")


def _carry_out(operation: Callable[[], object], sentence: str) -> None:
    with page.refusals():
        operation()
        say(sentence)
