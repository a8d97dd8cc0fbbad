"""Everybody's payments, refunds, prices, what Razorpay told, comparisons with it, and the revenue."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from dashboard import flow_runs
from dashboard.api import cursors
from dashboard.api import payment_shapes as shapes
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.payments import After, Size, keys
from dashboard.api.problems import Problem
from models.database import LARGEST_BIGINT, LARGEST_ID
from models.payments import events, listing, offers, reconciliations, refunds
from models.payments.states import CURRENCY, EventState, PaymentState
from models.permissions import Actor, Permission

router = APIRouter(prefix="/payments", tags=["payments"], route_class=Repeatable)

GIVEN_BACK: dict[int | str, dict[str, Any]] = {409: {"description": "There is nothing to give back.", "model": Problem}}

Overseer = Annotated[Actor, Needs(Permission.PAYMENTS_OVERSEE)]
Treasurer = Annotated[Actor, Needs(Permission.PAYMENTS_MANAGE)]
PaymentId = Annotated[int, Path(ge=1, le=LARGEST_ID, examples=[17])]
EventId = Annotated[int, Path(ge=1, le=LARGEST_BIGINT, examples=[17])]


@router.patch("/offers/{code}", summary="Change what is sold")
def change_offer(
    by: Treasurer, code: Annotated[str, Path(pattern=shapes.CODE)], wanted: shapes.OfferChange
) -> shapes.SoldOffer:
    """For whoever buys from now on."""
    found = offers.change(
        code, title=wanted.title, credits=wanted.credits, price=wanted.price, razorpay_id=wanted.razorpay_id, by=by
    )
    return shapes.SoldOffer.model_validate(found)


@router.get("", summary="List everybody's payments")
def listed(
    by: Overseer,
    state: PaymentState | None = None,
    kind: Annotated[str | None, Query(pattern="^(plan|pack|unknown)$")] = None,
    who: Annotated[
        str | None,
        Query(
            description="A person's e-mail, or Razorpay's name of the payment, its order or subscription.",
            max_length=300,
        ),
    ] = None,
    since: Annotated[shapes.Day | None, Query(description="A day, in UTC.")] = None,
    until: Annotated[shapes.Day | None, Query(description="A day, in UTC, included.")] = None,
    after: After = None,
    size: Size = 50,
) -> shapes.SomebodysPaymentPage:
    """The latest first; also those of which nobody knows whose they are."""
    belongs = repr((state, kind, who, since, until))
    wanted = listing.Wanted(state, kind, who, since, until)
    found, more = listing.page(wanted, after=keys(after, belongs), size=size, by=by)
    return shapes.SomebodysPaymentPage(
        payments=shapes.many(shapes.SomebodysPayment, found), next=cursors.written(more, belongs) if more else None
    )


@router.get("/revenue", summary="The revenue by month")
def revenue(by: Overseer, months: Annotated[int, Query(ge=1, le=listing.MOST_MONTHS)] = 12) -> shapes.Revenue:
    """What came in less what was given back, of the last months, this one included."""
    return shapes.Revenue(currency=CURRENCY, months=shapes.many(shapes.RevenueMonth, listing.revenue(months, by=by)))


@router.get("/events", summary="List what Razorpay told")
def told(
    by: Overseer,
    state: EventState | None = None,
    about: Annotated[str | None, Query(pattern=shapes.NAME, description="Razorpay's name of a thing.")] = None,
    before_id: Annotated[int | None, Query(ge=1, le=LARGEST_BIGINT, description="`next` of the page before.")] = None,
    size: Size = 50,
) -> shapes.PaymentEventPage:
    """The newest first. Those that are “dead” failed too often: they are applied again when somebody asks for it."""
    found, more = events.page(state=state, about=about, before_id=before_id, size=size, by=by)
    return shapes.PaymentEventPage(
        events=shapes.many(shapes.PaymentEvent, found),
        next=found[-1].id if more else None,
        numbers=events.numbers(by=by),
    )


@router.get("/events/{event_id:int}", summary="Read what Razorpay told")
def told_once(by: Overseer, event_id: EventId) -> shapes.WholePaymentEvent:
    found, body = events.get(event_id, by=by)
    outline = shapes.PaymentEvent.model_validate(found)
    return shapes.WholePaymentEvent(**outline.model_dump(), body=body)


@router.post("/events/{event_id:int}/replay", summary="Apply an event again")
def replay(by: Treasurer, event_id: EventId) -> shapes.PaymentEvent:
    """Whatever became of it. What is there already stays as it is."""
    return shapes.PaymentEvent.model_validate(events.replay(event_id, by=by))


@router.post("/events/replay-dead", summary="Apply all events again that were given up")
def replay_dead(by: Treasurer) -> shapes.AppliedEvents:
    """Those that fail once more are put aside again after as many tries."""
    return shapes.AppliedEvents(applied=events.replay_dead(by=by))


@router.get("/findings", summary="What differs from Razorpay")
def findings(by: Overseer) -> shapes.PaymentFindings:
    """What the last comparison could not mend by itself."""
    latest = reconciliations.latest(by=by)
    return shapes.PaymentFindings(
        comparison=shapes.PaymentComparison.model_validate(latest) if latest else None,
        findings=shapes.many(shapes.PaymentFinding, reconciliations.findings(by=by)),
    )


@router.post("/comparisons", status_code=HTTPStatus.ACCEPTED, summary="Compare with Razorpay")
def compare(by: Treasurer, wanted: shapes.NewPaymentComparison) -> shapes.AskedPaymentComparison:
    """In the background; `GET /payments/findings` tells when it is done. One at a time runs."""
    number = reconciliations.ask(wanted.days, by=by)
    return shapes.AskedPaymentComparison(id=number, started=flow_runs.start_comparing(number))


@router.get("/{payment_id:int}", summary="Read a payment")
def read(by: Overseer, payment_id: PaymentId) -> shapes.WholePayment:
    """With its refunds."""
    found, given_back = listing.get(payment_id, by=by)
    outline = shapes.SomebodysPayment.model_validate(found)
    return shapes.WholePayment(**outline.model_dump(), refunds=shapes.many(shapes.RefundLine, given_back))


@router.get("/{payment_id:int}/refund", summary="What a refund would do", responses=GIVEN_BACK)
def proposal(
    by: Treasurer,
    payment_id: PaymentId,
    amount: Annotated[
        int | None, Query(ge=shapes.LEAST, le=shapes.LARGEST, description="Paise; all that is left without.")
    ] = None,
) -> shapes.RefundProposal:
    return shapes.RefundProposal.model_validate(refunds.proposal(payment_id, amount, by=by))


@router.post("/{payment_id:int}/refunds", status_code=HTTPStatus.CREATED, summary="Refund a payment")
def refund(by: Treasurer, payment_id: PaymentId, wanted: shapes.NewRefund) -> shapes.RefundLine:
    """All of it, or a part. Its share of the credits is taken back as far as it is left; what was spent stays spent.
    State “asked”: Razorpay has not answered, and is asked again each minute."""
    return shapes.RefundLine.model_validate(refunds.refund(payment_id, wanted.amount, wanted.reason, by=by))
