"""`appointment360 payments`: what was paid and given back, what is sold, what Razorpay told, what differs from it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy import local, output
from deploy.cli_options import Home, Json, Yes
from models.errors import InvalidInput
from models.permissions import OPERATOR

if TYPE_CHECKING:
    from models.payments.listing import Listed

group = typer.Typer(help="Payments by Razorpay: lists, refunds, prices, events, comparisons.", no_args_is_help=True)
PaymentId = Annotated[int, typer.Argument(metavar="ID", help="A payment's number.")]
Day = Annotated[datetime | None, typer.Option(metavar="DAY", formats=["%Y-%m-%d"], help="In UTC: 2026-11-30.")]


@group.callback()
def everything() -> None:
    """Payments by Razorpay: lists, refunds, prices, events, comparisons."""


@group.command("list")
def listed(
    state: Annotated[str | None, typer.Option(help="created, failed, authorized, captured or refunded.")] = None,
    kind: Annotated[str | None, typer.Option(help="plan, pack or unknown.")] = None,
    who: Annotated[str | None, typer.Option(metavar="EMAIL", help="Of this person; or Razorpay's name.")] = None,
    since: Day = None,
    until: Day = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="So many of the latest.")] = 50,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """List payments, the latest first."""
    with local.connected():
        from models.payments import listing
        from models.payments.states import PaymentState

        if state is not None and state not in list(PaymentState):
            raise typer.BadParameter(f"“{state}” is no state. States are: {', '.join(PaymentState)}.")
        asked = PaymentState(state) if state else None
        wanted = listing.Wanted(asked, kind, who, *(day.date() if day else None for day in (since, until)))
        found, more = listing.page(wanted, size=limit, by=OPERATOR)
    if output.is_json():
        output.answer({"payments": [_described(one) for one in found], "more": more is not None})
        return
    rows = [
        (one.id, one.paid_at, one.email, one.title, one.state, _money(one.amount), _money(one.refunded), one.credits)
        for one in found
    ]
    headers = ["payment", "paid", "by", "for", "state", "amount", "given back", "credits"]
    output.table(
        headers, rows, numbers=["payment", "paid", "amount", "given back", "credits"], cut=["by"],
        spare=["given back", "credits", "for"],
    )  # fmt: skip
    if more:
        output.note(f"Older payments were left out: --limit shows more than {limit:,}.")


@group.command()
def show(payment: PaymentId, as_json: Json = False, home: Home = None) -> None:
    """Show a payment with its refunds."""
    with local.connected():
        from models.payments import listing

        found, refunds = listing.get(payment, by=OPERATOR)
    if output.is_json():
        output.answer({**_described(found), "refunds": [asdict(one) for one in refunds]})
        return
    what = f"{_money(found.amount)} for {found.title or 'nothing that is known here'}"
    output.say(f"{what}, {found.state}, by {found.email or 'nobody that is known here'} ({found.razorpay_id}).")
    rows = [(one.id, one.refunded_at, one.state, _money(one.amount), one.credits, one.reason) for one in refunds]
    if rows:
        headers = ["refund", "when", "state", "amount", "credits", "reason"]
        output.table(headers, rows, numbers=["refund", "amount", "credits"])


@group.command()
def refund(
    payment: PaymentId,
    amount: Annotated[int | None, typer.Option(min=1, metavar="PAISE", help="Else all that is left.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why.")] = None,
    yes: Yes = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Give a payment back, all of it or a part, with its credits as far as they are left."""
    with local.connected():
        from models.payments import refunds

        would = refunds.proposal(payment, amount, by=OPERATOR)
        told = f"{_money(would.amount)} are given back, and {output.counted(would.credits, 'credit')} taken back"
        if would.spent:
            told += f"; {would.spent:,} more are spent, and stay spent"
        if not yes and not output.asks():
            raise InvalidInput(f"{told}, for ever. Nobody can be asked here: say --yes, and nothing was changed yet.")
        if not yes and not output.confirmed(f"{told}. Go on?"):
            output.say("Nothing was changed.")
            return
        made = refunds.refund(payment, would.amount, reason, by=OPERATOR)
    waits = " Razorpay has not answered yet, and is asked again each minute." if made.state == "asked" else ""
    output.answer_or_say(
        asdict(made),
        f"Refund {made.id} of {_money(made.amount)} is {made.state}; it took {made.credits:,} credits.{waits}",
    )


@group.command()
def revenue(
    months: Annotated[int, typer.Option(min=1, max=120, help="So many of the last.")] = 12,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Show what came in and what was given back, by month."""
    with local.connected():
        from models.payments import listing

        found = listing.revenue(months, by=OPERATOR)
    if output.is_json():
        output.answer({"currency": "INR", "months": [{**asdict(one), "revenue": one.revenue} for one in found]})
        return
    rows = [
        (f"{one.month:%B %Y}", one.payments, _money(one.captured), _money(one.refunded), _money(one.revenue))
        for one in found
    ]
    headers = ["month", "payments", "came in", "given back", "revenue"]
    output.table(headers, rows, numbers=headers[1:])


@group.command()
def offers(as_json: Json = False, home: Home = None) -> None:
    """List the plans and packs that are sold."""
    with local.connected():
        from models.payments import gateway
        from models.payments import offers as sold

        found = sold.listed(by=OPERATOR)
        how = None if gateway.ready() else gateway.how()
    if output.is_json():
        output.answer({"offers": [asdict(one) for one in found], "ready": how is None, "how": how})
        return
    rows = [(one.code, one.kind, one.title, one.credits, _money(one.price)) for one in found]
    output.table(["code", "kind", "title", "credits", "price"], rows, numbers=["credits", "price"])
    if how:
        output.note(how)


@group.command()
def price(
    code: Annotated[str, typer.Argument(metavar="CODE", help="Of a plan or pack: `payments offers` lists them.")],
    price: Annotated[int | None, typer.Option(metavar="PAISE", help="Of a plan for each month.")] = None,
    credits: Annotated[int | None, typer.Option(help="That it brings.")] = None,
    title: Annotated[str | None, typer.Option(help="What it is called.")] = None,
    razorpay_id: Annotated[
        str | None, typer.Option(metavar="PLAN", help="Of a plan: one at Razorpay of that price, else one is made.")
    ] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Sell a plan or pack otherwise from now on. Who bought before keeps the old terms."""
    with local.connected():
        from models.payments import offers as sold

        made = sold.change(code, title=title, credits=credits, price=price, razorpay_id=razorpay_id, by=OPERATOR)
    output.answer_or_say(asdict(made), f"{made.title}: {made.credits:,} credits for {_money(made.price)}.")


@group.command()
def events(
    state: Annotated[str | None, typer.Option(help="waiting, applied, ignored or dead.")] = None,
    about: Annotated[str | None, typer.Option(metavar="NAME", help="Razorpay's name of a thing: pay_…")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="So many of the latest.")] = 50,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """List what Razorpay told, the newest first."""
    with local.connected():
        from models.payments import events as told
        from models.payments.states import EventState

        if state is not None and state not in list(EventState):
            raise typer.BadParameter(f"“{state}” is no state. States are: {', '.join(EventState)}.")
        wanted = EventState(state) if state else None
        found, more = told.page(state=wanted, about=about, size=limit, by=OPERATOR)
    if output.is_json():
        output.answer({"events": [asdict(one) for one in found], "more": more})
        return
    rows = [(one.id, one.received_at, one.kind, one.state, one.tries, one.about, one.error) for one in found]
    headers = ["event", "received", "what", "state", "tries", "about", "error"]
    output.table(
        headers, rows, numbers=["event", "received", "tries"], cut=["what", "error"], spare=["tries", "about", "error"]
    )


@group.command()
def replay(
    event: Annotated[int | None, typer.Argument(metavar="ID", help="An event's number.")] = None,
    dead: Annotated[bool, typer.Option("--dead", help="All that were given up.")] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Apply an event again, or all that were given up. What is there already stays as it is."""
    if (event is None) == (not dead):
        raise typer.BadParameter("Give an event's number, or --dead.")
    with local.connected():
        from models.payments import events as told

        if event is None:
            number = told.replay_dead(by=OPERATOR)
            output.answer_or_say({"applied": number}, f"{output.counted(number, 'event')} applied.")
            return
        made = told.replay(event, by=OPERATOR)
    output.answer_or_say(asdict(made), f"Event {made.id} ({made.kind}) is {made.state}. {made.error or ''}".rstrip())


@group.command()
def compare(
    days: Annotated[int, typer.Option(min=1, max=90, help="So many of the last days.")] = 3,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Compare with Razorpay now: mend what was missed, and list what cannot be mended."""
    with local.connected():
        from models.payments import reconciliations
        from pipelines import reconcile_payments

        number = reconciliations.ask(days, by=OPERATOR)
        numbers = reconcile_payments.run(number)
        found = reconciliations.findings(by=OPERATOR)
    if numbers is None:
        output.answer_or_say({"comparison_id": number}, "Another process is comparing just now: `compare` again later.")
        return
    told = f"{numbers.compared:,} compared, {numbers.mended:,} mended, {output.counted(len(found), 'finding')} left."
    output.answer_or_say(
        {"comparison_id": number, **asdict(numbers), "findings": [asdict(one) for one in found]}, told
    )  # fmt: skip
    for one in found:
        output.say(f"- {one.sentence}")


def _described(one: Listed) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, date) else value for name, value in asdict(one).items()
    }  # fmt: skip


def _money(paise: int) -> str:
    return f"₹{paise // 100:,}.{paise % 100:02}"
