"""A person's subscription in words, and what can be done with it."""

import streamlit as st

from dashboard import formats
from dashboard.widgets import page
from dashboard.widgets.page import badge, plain
from dashboard.widgets.pay_now import pay_now
from dashboard.widgets.press import pressed
from dashboard.widgets.subscription_dialogs import cancel_dialog, pause_dialog, resume_dialog, stay
from models.payments import gateway
from models.payments.offers import Sold
from models.payments.states import ENDED, RUNNING, SubscriptionState
from models.payments.subscriptions import Own

S = SubscriptionState
COLOURS = {
    S.CREATED: ("Not paid yet", "yellow"), S.AUTHENTICATED: ("Begins soon", "blue"), S.ACTIVE: ("Active", "green"),
    S.PENDING: ("A charge failed", "yellow"), S.HALTED: ("Halted", "red"), S.PAUSED: ("Paused", "gray"),
    S.COMPLETED: ("Completed", "gray"), S.EXPIRED: ("Expired", "gray"), S.CANCELLED: ("Cancelled", "gray"),
}  # fmt: skip


def subscription_card(mine: Own | None, sold: list[Sold]) -> None:
    """Nothing where there never was one."""
    if mine is None:
        return
    word, colour = COLOURS[mine.state]
    if mine.cancels_at_end and mine.state not in ENDED:
        word, colour = "Ends", "yellow"
    with page.card("Your subscription", f"Begun {formats.day(mine.created_at)}"):
        st.markdown(f"**{plain(mine.plan.title)}** {badge(word, colour)} {sentence(mine)}")
        _actions(mine, sold)


def sentence(mine: Own) -> str:
    """How it stands, as Markdown."""
    price, credits = formats.money(mine.plan.price, mine.plan.currency), formats.counted(mine.plan.credits, "credit")
    due, end = formats.day(mine.charge_at), formats.day(mine.current_end)
    match mine.state:
        case S.CREATED:
            return f"It begins once {price} is paid."
        case _ if mine.cancels_at_end and mine.state not in ENDED:
            return f"It ends on {end}, with the month that is paid. Nothing is charged any more."
        case S.AUTHENTICATED:
            return f"The first charge of {price} comes{f' on {due}' if mine.charge_at else ''}, with {credits}."
        case S.ACTIVE:
            after = mine.next_plan or mine.plan
            named = f"**{plain(after.title)}**" if after.code != mine.plan.code else "it is sold now"
            becomes = f", as {named}" if mine.next_plan else ""
            charge = f"{formats.money(after.price, after.currency)}{becomes}"
            return f"{credits} a month. The next charge is {charge}{f', on {due}' if mine.charge_at else ''}."
        case S.PENDING:
            return f"The last charge of {price} failed. Razorpay tries it again; its mail tells how to pay otherwise."
        case S.HALTED:
            return "Its charges failed too often, and none is tried any more. Razorpay’s mail tells how to pay."
        case S.PAUSED:
            return "Nothing is charged, and no credits come, until you resume it."
    ended = f" on {formats.day(mine.ended_at)}" if mine.ended_at else ""
    return f"It ended{ended}. Choose a plan to begin a new one; your credits are still yours."


def _actions(mine: Own, sold: list[Sold]) -> None:
    if mine.state in ENDED or (mine.cancels_at_end and mine.state != S.PAUSED):
        return
    with st.container(horizontal=True, gap="small"):
        _buttons(mine, sold)


def _buttons(mine: Own, sold: list[Sold]) -> None:
    ready = gateway.ready()
    if mine.state == S.CREATED and pressed("Pay", key="pay subscription", type="primary", disabled=not ready):
        pay_now("/pay/subscription")
    if mine.state == S.PAUSED and pressed("Resume", key="resume", icon=":material/play_arrow:", disabled=not ready):
        resume_dialog(mine)
    if mine.state not in RUNNING or mine.cancels_at_end:
        return
    can_stay = mine.next_plan is not None and any(one.id == mine.plan.id for one in sold)  # at its own price
    if can_stay and pressed("Keep my plan", key="stay", type="tertiary", disabled=not ready):
        stay(mine)
    look = {"type": "tertiary", "disabled": not ready}
    if mine.state == S.ACTIVE and pressed("Pause", key="pause", icon=":material/pause:", **look):
        pause_dialog(mine)
    if pressed("Cancel it", key="cancel", icon=":material/cancel:", **look):
        cancel_dialog(mine)
