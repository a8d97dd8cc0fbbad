"""Payments of one's own: what is sold, orders and their return from the checkout, the subscription; and the webhook."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Header, Path, Query, Request, Response

from dashboard.api import cursors, etags
from dashboard.api import payment_shapes as shapes
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.payment_shapes import CheckoutAnswer, ChosenPlan, NewOrder, OrderCheckout, OwnSubscription
from dashboard.api.problems import Problem, Problems
from models.database import LARGEST_ID
from models.errors import InvalidInput, Unavailable
from models.payments import events, gateway, listing, offers, orders, subscriptions
from models.payments.states import OfferKind
from models.permissions import Actor, Permission

router = APIRouter(prefix="/payments", tags=["payments"], route_class=Repeatable)
OWN = "own payments"  # what a cursor belongs to
NOTHING: dict[int | str, dict[str, Any]] = {404: {"description": "You have no such subscription.", "model": Problem}}
TOLD = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}
# Razorpay waits five seconds: its words do not stand in line behind people who wait for Razorpay's answers.
_receiving = ThreadPoolExecutor(max_workers=4, thread_name_prefix="webhook")

Buyer = Annotated[Actor, Needs(Permission.PAYMENTS_BUY)]
Person = Annotated[Actor, Needs()]
OrderId = Annotated[int, Path(ge=1, le=LARGEST_ID, examples=[17])]
After = Annotated[str | None, Query(description="`next` of the page before.", max_length=cursors.LONGEST)]
Size = Annotated[int, Query(ge=1, le=listing.MOST)]


@router.get("/offers", summary="What is sold")
def offered(by: Buyer, kind: OfferKind | None = None) -> shapes.OfferList:
    """Plans and packs, with their prices."""
    found = offers.listed(kind, by=by)
    ready = gateway.ready()
    return shapes.OfferList(
        ready=ready, how=None if ready else gateway.how(), offers=shapes.many(shapes.SoldOffer, found)
    )  # fmt: skip


@router.post(
    "/orders", status_code=HTTPStatus.CREATED, summary="Order a pack", responses={201: etags.PLACED}
)  # fmt: skip
def order(by: Buyer, wanted: NewOrder, response: Response) -> OrderCheckout:
    """Its checkout is opened with what this answers, or in a browser at `/pay/order/{order_id}`. The credits come once
    it is paid."""
    made = OrderCheckout.model_validate(orders.create(wanted.pack, by=by))
    response.headers["location"] = f"/api/v1/payments/orders/{made.order_id}"
    return made


@router.get("/orders/{order_id:int}", summary="Read an order of yours")
def ordered(by: Buyer, order_id: OrderId) -> OrderCheckout:
    return OrderCheckout.model_validate(orders.checkout(order_id, by=by))


@router.post("/orders/{order_id:int}/return", summary="Come back from an order's checkout")
def come_back(by: Buyer, order_id: OrderId, told: CheckoutAnswer) -> shapes.Payment:
    """The signature is checked against the order as it is known here. The payment is there from then on; that the money
    came in is asked of Razorpay, and where it does not answer its webhook tells."""
    found = orders.returned(order_id, payment=told.razorpay_payment_id, signature=told.razorpay_signature, by=by)
    return shapes.Payment.model_validate(found)


@router.get("/mine", summary="List your payments")
def mine(by: Person, after: After = None, size: Size = 50) -> shapes.PaymentPage:
    """The latest first."""
    found, more = listing.mine(after=keys(after, OWN), size=size, by=by)
    return shapes.PaymentPage(
        payments=shapes.many(shapes.Payment, found), next=cursors.written(more, OWN) if more else None
    )  # fmt: skip


@router.get("/invoices", summary="List your invoices")
def invoices(by: Person) -> list[shapes.InvoiceLine]:
    """What you have paid, the latest first."""
    return shapes.many(shapes.InvoiceLine, listing.invoices(by=by))


@router.get("/subscription", summary="Read your subscription")
def subscription(by: Person) -> shapes.MaybeSubscription:
    """The one that runs, or else the last one."""
    found = subscriptions.current(by=by)
    return shapes.MaybeSubscription(subscription=OwnSubscription.model_validate(found) if found else None)


@router.post("/subscription", status_code=HTTPStatus.CREATED, summary="Start a subscription")
def start(by: Buyer, wanted: ChosenPlan) -> shapes.SubscriptionCheckout:
    """It begins once its checkout is paid, in a browser at `/pay/subscription`; started again before that, it is the
    same one."""
    return shapes.SubscriptionCheckout.model_validate(subscriptions.start(wanted.plan, by=by))


@router.get("/subscription/checkout", summary="Read your subscription's checkout", responses=NOTHING)
def reopen(by: Buyer) -> shapes.SubscriptionCheckout:
    """Of one that was started and not paid yet."""
    return shapes.SubscriptionCheckout.model_validate(subscriptions.checkout(by=by))


@router.post("/subscription/return", summary="Come back from a subscription's checkout")
def come_back_subscribed(by: Buyer, told: CheckoutAnswer) -> OwnSubscription:
    found = subscriptions.returned(payment=told.razorpay_payment_id, signature=told.razorpay_signature, by=by)
    return OwnSubscription.model_validate(found)


@router.post("/subscription/change", summary="Change your subscription's plan")
def change(by: Buyer, wanted: ChosenPlan) -> OwnSubscription:
    """From the next charge on. Its own plan takes back such a wish."""
    return OwnSubscription.model_validate(subscriptions.change(wanted.plan, by=by))


@router.post("/subscription/cancel", summary="Cancel your subscription", responses=NOTHING)
def cancel(by: Buyer) -> OwnSubscription:
    """It ends with the period that was paid."""
    return OwnSubscription.model_validate(subscriptions.cancel(by=by))


@router.post("/subscription/pause", summary="Pause your subscription", responses=NOTHING)
def pause(by: Buyer) -> OwnSubscription:
    """No charges, and no credits, until it is resumed."""
    return OwnSubscription.model_validate(subscriptions.pause(by=by))


@router.post("/subscription/resume", summary="Resume your subscription", responses=NOTHING)
def resume(by: Buyer) -> OwnSubscription:
    return OwnSubscription.model_validate(subscriptions.resume(by=by))


@router.post("/webhook", summary="What Razorpay tells", openapi_extra=TOLD)
async def webhook(
    request: Request,
    later: BackgroundTasks,
    signature: Annotated[str, Header(alias="x-razorpay-signature", max_length=200)] = "",
    event_id: Annotated[str | None, Header(alias="x-razorpay-event-id", max_length=events.LONGEST_ID)] = None,
) -> shapes.ReceivedEvent:
    """For Razorpay alone, which signs each body with the webhook's secret. An event is stored before this answers, and
    applied afterwards; one that comes again is answered and not stored again."""
    body = await _body(request)
    receive = partial(events.receive, body, signature=signature, event_id=event_id)
    storing = asyncio.get_running_loop().run_in_executor(_receiving, receive)
    try:
        number = await asyncio.wait_for(storing, events.PATIENCE)
    except TimeoutError as error:  # perhaps in line for a connection; what is stored late the sweep applies
        raise Unavailable("The event could not be stored in time: send it again.") from error
    if number is None:
        return shapes.ReceivedEvent(state="known")
    later.add_task(events.apply, number)
    return shapes.ReceivedEvent(state="stored")


def keys(after: str | None, belongs: str) -> listing.Keys | None:
    """Where the page before ended. Raises InvalidInput."""
    if after is None:
        return None
    match cursors.read(after, belongs):
        case [datetime() as at, int() as number]:
            return at, number
    raise InvalidInput("after: this is no “next” of a page before.", field="after")


async def _body(request: Request) -> bytes:
    """Never more of it than an event may have: anybody can send some."""
    read = bytearray()
    async for piece in request.stream():
        read += piece
        if len(read) > events.LARGEST:
            raise Problems(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"An event has at most {events.LARGEST:,} bytes.")
    return bytes(read)
