"""The pages of /pay as HTML: what is to be paid, what became of it, and why something is refused."""

import json
from datetime import UTC
from functools import cache
from html import escape

from starlette.responses import HTMLResponse

from dashboard import formats
from dashboard.front_page import HEAD, STATIC, styled
from models.payments import gateway, orders, subscriptions
from models.payments.listing import InvoiceLine
from models.payments.offers import Sold
from models.payments.states import OrderState, SubscriptionState
from models.payments.subscriptions import Own

STYLES = ("front_page.css", "pay.css")
OURS = '<script src="/pay/pay.js" defer></script>'
PLANS = "/plans"
BACK = f'<p><a href="{PLANS}">Back to plans</a></p>'
SAID = '<p id="said" role="status"></p>'
AT_RAZORPAY = "The payment takes place at Razorpay, in a window that opens here. Appointment360 never sees your card."
FAILED = "Did the payment fail?"
WAITING = "This page goes on as soon as Razorpay confirms it. You need not wait: the credits come by themselves."


def order(one: orders.Checkout) -> HTMLResponse:
    """What is bought, and the button that opens Razorpay's window."""
    facts = {
        "Credits": f"{formats.number(one.credits)}, once; they last",
        "For": f"{one.name}, {one.email}",
        "Order": formats.number(one.order_id),
    }
    options = {**_options(one), "order_id": one.razorpay_id, "amount": one.amount, "currency": one.currency}
    return _checkout(f"Buy {one.title}", facts, one.amount, options, f"/pay/order/{one.order_id}/return")


def subscription(one: subscriptions.Checkout) -> HTMLResponse:
    facts = {
        "Credits": f"{formats.number(one.credits)} with each month’s charge; they last",
        "For": f"{one.name}, {one.email}",
        "Ends": "when you cancel it, with the month that is paid",
    }
    options = {**_options(one), "subscription_id": one.razorpay_id}
    back = "/pay/subscription/return"
    return _checkout(f"Subscribe to {one.title}", facts, one.amount, options, back, each="a month")


def order_done(one: orders.Checkout) -> HTMLResponse:
    """What became of a return from the checkout; while that is not known the page asks for it."""
    credits = formats.counted(one.credits, "credit")
    if one.state == OrderState.PAID:
        return _done("Paid", f"{credits} are yours. They last until you spend them.")
    again = f'<p class="grey">{FAILED} <a href="/pay/order/{one.order_id}">Ask Razorpay, and pay again</a>.</p>'
    if one.state == OrderState.CREATED:
        return _page("Not paid yet", f"<p>{escape(one.title)} waits for its payment.</p>{again}{BACK}")
    return _waiting(f"/pay/order/{one.order_id}/state", again)


def subscription_done(one: Own) -> HTMLResponse:
    plan = escape(one.plan.title)
    if one.state == SubscriptionState.CREATED:
        again = f'<p class="grey">{FAILED} <a href="/pay/subscription">Ask Razorpay, and pay again</a>.</p>'
        return _waiting("/pay/subscription/state", again)
    if one.state == SubscriptionState.ACTIVE:
        return _done("Subscribed", f"{plan} runs. {_monthly(one.plan)} come with each month’s charge.")
    if one.state == SubscriptionState.AUTHENTICATED:
        return _done("Set up", f"{plan} begins with its first charge, which brings {_monthly(one.plan)}.")
    return _done("Your subscription", f"{plan} is {escape(one.state)}.")


def receipt(one: InvoiceLine, name: str) -> HTMLResponse:
    """Of what was paid; days are days in UTC, as in the numbers of revenue."""
    facts = {
        "Paid by": name,
        "On": f"{one.paid_at.astimezone(UTC):%d %B %Y}",
        "For": one.title or "",
        "Credits": formats.number(one.credits),
        "Payment": one.razorpay_id,
        "Amount": formats.money(one.amount, one.currency),
        "Given back": formats.money(one.refunded, one.currency) if one.refunded else "",
    }
    lines = "".join(f"<dt>{label}</dt><dd>{escape(value)}</dd>" for label, value in facts.items() if value)
    kept = (
        f'<dt>Paid in all</dt><dd class="total">{escape(formats.money(one.amount - one.refunded, one.currency))}</dd>'
    )
    theirs = f'<p><a href="{escape(one.url)}">Razorpay’s invoice</a></p>' if one.url else ""
    return _page(f"Receipt {formats.number(one.number)}", f"<dl>{lines}{kept}</dl>{theirs}{BACK}")


def is_confirmed(one: orders.Checkout | Own) -> bool:
    waits = {OrderState.CREATED, OrderState.ATTEMPTED, SubscriptionState.CREATED}
    return one.state not in waits


def not_now(sentence: str, asked: str, status: int) -> HTMLResponse:
    """Instead of the checkout, where it may be paid already; once that is certain, which it asks for, it goes on."""
    body = f"<p>{escape(sentence)}</p>{SAID}{BACK}"
    return _page("Wait before you pay", body, data=f'data-wait="{asked}"', scripts=OURS, status=status)


def refused(sentence: str, status: int) -> HTMLResponse:
    return _page("This did not work", f"<p>{escape(sentence)}</p>{BACK}", status=status)


def _options(one: orders.Checkout | subscriptions.Checkout) -> dict[str, object]:
    """What Razorpay's script is told; it draws these in its window."""
    return {
        "key": one.key_id, "name": "Appointment360", "description": one.title,
        "prefill": {"name": one.name, "email": one.email},
    }  # fmt: skip


def _checkout(
    title: str, facts: dict[str, str], amount: int, options: dict[str, object], back: str, *, each: str = ""
) -> HTMLResponse:
    price = escape(formats.money(amount))
    lines = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    total = f'<dt>To pay</dt><dd class="total">{price} {each}</dd>'
    body = f"""<dl>{lines}{total}</dl>
    <button id="pay" class="button" type="button" disabled>Pay {price}</button>{SAID}
    <p class="grey small">{AT_RAZORPAY}</p>{BACK}
    <noscript><p>Paying needs JavaScript: allow it for this address, and reload.</p></noscript>"""
    data = f'data-checkout="{escape(json.dumps(options))}" data-back="{back}"'
    theirs = f'<script src="{escape(gateway.checkout_script())}" defer></script>'
    return _page(escape(title), body, data=data, scripts=theirs + OURS)


def _waiting(asked: str, again: str) -> HTMLResponse:
    body = f"<p>{WAITING}</p>{SAID}{again}{BACK}"
    return _page("Your payment is on its way", body, data=f'data-wait="{asked}"', scripts=OURS)


def _done(title: str, sentence: str) -> HTMLResponse:
    return _page(title, f'<p>{sentence}</p><p><a class="button" href="{PLANS}">See your credits</a></p>')


def _monthly(plan: Sold) -> str:
    return formats.counted(plan.credits, "credit")


def _page(title: str, body: str, *, data: str = "", scripts: str = "", status: int = 200) -> HTMLResponse:
    return HTMLResponse(
        f"""<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    {_head()}
    {scripts}
  </head>
  <body><main {data}>{(STATIC / "mark.svg").read_text()}<h1>{title}</h1>{body}</main></body>
</html>
""",
        status,
    )


@cache
def _head() -> str:
    """Below /pay the addresses of the front page's head mean something else."""
    return f"{HEAD.replace('./app/', '/app/')}\n<style>\n{styled(*STYLES)}</style>"
