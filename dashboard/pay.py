"""Paying, in the browser: `/pay/order/17` and `/pay/subscription`, the return from Razorpay's window, and receipts.

These are plain pages: they run a script of Razorpay's, which no screen shall share its page with. That window answers
with a payment and its signature, which is posted back; the state of things comes from what Razorpay tells, so the page
after that waits for it.
"""

from collections.abc import Callable
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from dashboard import edge, pay_page
from dashboard.front_page import STATIC
from models.errors import AppError, Conflict, InvalidInput, NotAllowed, NotFound, Unavailable
from models.payments import checkouts, listing, orders, subscriptions
from models.payments.states import OrderState
from models.permissions import Actor

MAX_BODY = 4096  # bytes of a return
STATUS = {NotAllowed: 403, NotFound: 404, InvalidInput: 400, Conflict: 409, Unavailable: 503}
SIGN_IN = "Sign in first, then open this page again. What you have paid is yours in any case."


async def script(_: Request) -> Response:
    """Streamlit's static files are no scripts to a browser."""
    return Response((STATIC / "pay.js").read_text(), media_type="text/javascript")


async def order(request: Request) -> Response:
    number = request.path_params["order_id"]

    def shown(by: Actor) -> Response:
        found = checkouts.open_order(number, by=by)
        if found.state == OrderState.PAID:
            return RedirectResponse(f"/pay/order/{number}/done", 303)
        return pay_page.order(found)

    return await _answer(request, _unless_paid(shown, f"/pay/order/{number}/state"))


async def order_returned(request: Request) -> Response:
    number, told = request.path_params["order_id"], await _told(request)

    def noted(by: Actor) -> Response:
        payment, signature = _signed(told)
        orders.returned(number, payment=payment, signature=signature, by=by)
        return RedirectResponse(f"/pay/order/{number}/done", 303)

    return await _answer(request, noted)


async def order_done(request: Request) -> Response:
    number = request.path_params["order_id"]
    return await _answer(request, lambda by: pay_page.order_done(orders.checkout(number, by=by)))


async def order_state(request: Request) -> Response:
    number = request.path_params["order_id"]
    return await _answer(request, lambda by: _state(orders.checkout(number, by=by)))


async def subscription(request: Request) -> Response:
    """That which waits for its first payment; one that does not says how it stands."""

    def shown(by: Actor) -> Response:
        try:
            return pay_page.subscription(checkouts.open_subscription(by=by))
        except NotFound:
            _own(by)
            return RedirectResponse("/pay/subscription/done", 303)

    return await _answer(request, _unless_paid(shown, "/pay/subscription/state"))


async def subscription_returned(request: Request) -> Response:
    told = await _told(request)

    def noted(by: Actor) -> Response:
        payment, signature = _signed(told)
        subscriptions.returned(payment=payment, signature=signature, by=by)
        return RedirectResponse("/pay/subscription/done", 303)

    return await _answer(request, noted)


async def subscription_done(request: Request) -> Response:
    return await _answer(request, lambda by: pay_page.subscription_done(_own(by)))


async def subscription_state(request: Request) -> Response:
    return await _answer(request, lambda by: _state(_own(by)))


async def receipt(request: Request) -> Response:
    """Of one's own payment, to be printed."""
    number = request.path_params["number"]

    def shown(by: Actor) -> Response:
        found = next((one for one in listing.invoices(by=by) if one.number == number), None)
        if found is None:
            raise NotFound(f"There is no receipt {number} of yours.")
        return pay_page.receipt(found, by.name)

    return await _answer(request, shown)


async def _answer(request: Request, made: Callable[[Actor], Response]) -> Response:
    """What `made` gives for who asks, or a page that says why not: 400, 401, 403, 404, 409, 503."""
    actor = await edge.signed_in(request.scope)
    if actor is None:
        return pay_page.refused(SIGN_IN, 401)
    try:
        return await run_in_threadpool(made, actor)
    except AppError as error:
        return pay_page.refused(error.sentence, _status(error))


def _status(error: AppError) -> int:
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 400)


def _unless_paid(made: Callable[[Actor], Response], asked: str) -> Callable[[Actor], Response]:
    """No checkout where it may be paid already: a page instead that goes on once that is known, by asking `asked`."""

    def shown(by: Actor) -> Response:
        try:
            return made(by)
        except (checkouts.OnItsWay, checkouts.NotKnown) as error:
            return pay_page.not_now(error.sentence, asked, _status(error))

    return shown


async def _told(request: Request) -> bytes | None:
    """None: it is longer than a return is."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            return None
    return body


def _signed(told: bytes | None) -> tuple[str, str]:
    """The payment, as Razorpay calls it, and its signature. Raises InvalidInput."""
    fields = parse_qs((told or b"").decode("utf-8", "replace"))
    payment, signature = (fields.get(f"razorpay_{name}", [""])[0] for name in ("payment_id", "signature"))
    if not payment or not signature:
        raise InvalidInput("This is not what Razorpay's checkout answers: go back to plans, and begin again.")
    return payment, signature


def _own(by: Actor) -> subscriptions.Own:
    found = subscriptions.current(by=by)
    if found is None:
        raise NotFound("You have no subscription: choose a plan first.")
    return found


def _state(one: orders.Checkout | subscriptions.Own) -> Response:
    return JSONResponse({"confirmed": pay_page.is_confirmed(one)})
