"""What is sold: plans, whose credits come with each month's charge, and packs of credits, once.

They stand in a table that administrators change, since prices change more often than the program is started anew, by
people who do not start it. A changed offer is a new row: orders and subscriptions keep what they were made for.
"""

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models import audit, database
from models.audit import Event
from models.database import PAYMENTS_LOCK, reading, writing
from models.errors import Conflict, InvalidInput, NotAllowed, NotFound
from models.payments import gateway
from models.payments.states import CURRENCY, OfferKind
from models.payments.tables import Offer
from models.permissions import RAZORPAY, Actor, Permission, require

MOST_CREDITS, LEAST_PRICE, HIGHEST_PRICE = 100_000_000, 100, 10**10  # paise; Razorpay takes no less than a rupee
LONGEST_TITLE = 60
MONTHLY = ("monthly", 1)  # the period of every plan, and its interval
PLAN_NAME = re.compile("plan_[A-Za-z0-9]{1,40}")


@dataclass(frozen=True)
class Sold:
    """A plan or a pack as it is sold now: `price` in paise, for a plan each month."""

    id: int
    kind: OfferKind
    code: str
    title: str
    credits: int
    price: int
    currency: str
    razorpay_id: str | None


def listed(kind: OfferKind | None = None, *, by: Actor) -> list[Sold]:
    """Plans before packs, the smallest first. Raises NotAllowed."""
    require(by, Permission.PAYMENTS_BUY)
    wanted = select(Offer).where(Offer.ended_at.is_(None)).order_by(Offer.place, Offer.id)
    if kind is not None:
        wanted = wanted.where(Offer.kind == kind)
    with reading() as session:
        return [sold(one) for one in session.scalars(wanted)]


def change(
    code: str,
    *,
    title: str | None = None,
    credits: int | None = None,
    price: int | None = None,
    razorpay_id: str | None = None,
    by: Actor,
) -> Sold:
    """Sell it otherwise from now on; what is None stays. A plan gets another plan of Razorpay's with its next
    subscriber, or the one named by `razorpay_id`, made there for that price. Who has subscribed keeps the old terms.

    That plan is looked at there before: it has to cost as much, in the same currency, each month. Raises NotAllowed,
    NotFound, InvalidInput (also where the plan does not fit), Conflict (Razorpay's plan belongs to another offer, or
    somebody changed the price meanwhile), Unavailable.
    """
    require(by, Permission.PAYMENTS_MANAGE)
    agreed = None if razorpay_id is None else _agreed_price(code, price, razorpay_id)
    taken = {"payment_offers_razorpay": f"{razorpay_id} is the plan of another offer, or of an earlier price."}
    with database.named_once(taken), writing(by) as session:
        found = on_sale(session, code, locked=True)
        before = _terms(found)
        after = before | {
            name: value
            for name, value in (("title", _title(title)), ("credits", credits), ("price", price))
            if value is not None
        }
        _check(found, after, razorpay_id)
        if agreed not in (None, after["price"]):
            raise Conflict(f"The price of {found.title} was just changed by somebody else: look at it, and try again.")
        if after == before and razorpay_id in (None, found.razorpay_id):
            return sold(found)
        made = _changed(session, found, after, razorpay_id, by)
        was, now = ({"razorpay_id": one.razorpay_id} if razorpay_id else {} for one in (found, made))
        audit.write(session, Event.OFFER_CHANGED, f"offer {found.code}", by=by, before=before | was, after=after | now)
        return sold(made)


def require_buying(by: Actor) -> int:
    """The id of the person who buys for themselves. Raises NotAllowed."""
    require(by, Permission.PAYMENTS_BUY)
    if by.id is None:
        raise NotAllowed("Only a signed-in person can buy, for themselves.")
    return by.id


def on_sale(session: Session, code: str, kind: OfferKind | None = None, *, locked: bool = False) -> Offer:
    """Raises NotFound, with what there is."""
    selling = select(Offer).where(Offer.ended_at.is_(None))
    if kind is not None:
        selling = selling.where(Offer.kind == kind)
    wanted = selling.where(Offer.code == code.strip().lower().replace("\x00", ""))
    found = session.scalar(wanted.with_for_update() if locked else wanted)
    if found is None:
        there = session.scalars(selling.order_by(Offer.place))
        raise NotFound(f"There is no {kind or 'offer'} “{code}”. There are: {', '.join(one.code for one in there)}.")
    return found


def razorpay_plan(offer_id: int) -> str:
    """Razorpay's name of the plan, which is made there the first time that somebody wants it.

    Raises Unavailable, Refused, Conflict (somebody else wants it at this very moment).
    """
    with database.claimed(PAYMENTS_LOCK, offer_id) as mine:
        with reading() as session:
            offer = session.get_one(Offer, offer_id)
            known, item = offer.razorpay_id, {"name": offer.title, "amount": offer.price, "currency": CURRENCY}
        if known is not None:
            return known
        if not mine:
            raise Conflict("This plan is just being set up at Razorpay: try again in a moment.")
        period, interval = MONTHLY
        wanted = {"period": period, "interval": interval, "item": item}
        made = gateway.ask(lambda razorpay: razorpay.plan.create(wanted, timeout=gateway.PATIENCE))
        _note_plan(offer_id, made["id"])
        name: str = made["id"]
        return name


def sold(one: Offer) -> Sold:
    return Sold(
        one.id, OfferKind(one.kind), one.code, one.title, one.credits, one.price, CURRENCY, one.razorpay_id
    )  # fmt: skip


def _note_plan(offer_id: int, name: str) -> None:
    with writing(RAZORPAY) as session:
        offer = session.get_one(Offer, offer_id, with_for_update=True)
        offer.razorpay_id = name
        audit.write(
            session, Event.OFFER_CHANGED, f"offer {offer.code}", by=RAZORPAY, after={"razorpay": name}
        )  # fmt: skip


def _changed(session: Session, found: Offer, terms: dict[str, Any], razorpay_id: str | None, by: Actor) -> Offer:
    """The same row where nothing that somebody bought would change with it."""
    same = all(terms[name] == getattr(found, name) for name in ("credits", "price"))
    if same and (found.razorpay_id is None or razorpay_id in (None, found.razorpay_id)):
        found.title, found.razorpay_id = terms["title"], razorpay_id or found.razorpay_id
        session.flush()
        return found
    found.ended_at = func.clock_timestamp()
    session.flush()
    made = Offer(
        kind=found.kind, code=found.code, place=found.place, razorpay_id=razorpay_id, created_by=by.doer_id, **terms
    )  # fmt: skip
    session.add(made)
    session.flush()
    return made


def _terms(offer: Offer) -> dict[str, Any]:
    return {"title": offer.title, "credits": offer.credits, "price": offer.price}


def _agreed_price(code: str, price: int | None, razorpay_id: str) -> int:
    """The price that the offer is to have, and that Razorpay's plan has. Raises as `change` does."""
    with reading() as session:
        found = on_sale(session, code)
        wanted = found.price if price is None else price
        _check(found, _terms(found) | {"price": wanted}, razorpay_id)
    try:
        plan = gateway.ask(lambda razorpay: razorpay.plan.fetch(razorpay_id, timeout=gateway.PATIENCE))
    except gateway.Refused as error:
        told = f"razorpay_id: Razorpay gives no plan {razorpay_id} to the account that is set up here: {error.said}"
        raise InvalidInput(told, field="razorpay_id") from error
    item, terms = plan["item"], (plan["period"], plan["interval"])
    there = f"razorpay_id: at Razorpay {razorpay_id}"
    if item["currency"] != CURRENCY:
        raise InvalidInput(f"{there} is in {item['currency']}; give one in {CURRENCY}.", field="razorpay_id")
    if item["amount"] != wanted:
        way_out = f"give that price with it, or a plan of {wanted:,} paise"
        raise InvalidInput(f"{there} costs {item['amount']:,} paise: {way_out}.", field="razorpay_id")
    if terms != MONTHLY:
        way_out = "give one that is charged each month"
        raise InvalidInput(f"{there} is charged {_often(*terms)}: {way_out}.", field="razorpay_id")
    return wanted


def _often(period: str, interval: int) -> str:
    """In Razorpay's words: its dashboard shows them so."""
    return period if interval == 1 else f"{period}, with an interval of {interval}"


def _title(title: str | None) -> str | None:
    if title is None:
        return None
    clean = " ".join(title.split())
    if not clean or len(clean) > LONGEST_TITLE or not clean.isprintable():
        raise InvalidInput(f"title: give 1 to {LONGEST_TITLE} characters.", field="title")
    return clean


def _check(offer: Offer, terms: dict[str, Any], razorpay_id: str | None) -> None:
    credits, price = terms["credits"], terms["price"]
    if not isinstance(credits, int) or not 1 <= credits <= MOST_CREDITS:
        raise InvalidInput(f"credits: give a number from 1 to {MOST_CREDITS:,}.", field="credits")
    if not isinstance(price, int) or not LEAST_PRICE <= price <= HIGHEST_PRICE:
        raise InvalidInput(f"price: give paise, from {LEAST_PRICE} to {HIGHEST_PRICE:,}.", field="price")
    if razorpay_id is None:
        return
    if offer.kind != OfferKind.PLAN:
        raise InvalidInput("razorpay_id: only plans have one.", field="razorpay_id")
    if not PLAN_NAME.fullmatch(razorpay_id):
        raise InvalidInput("razorpay_id: it looks like plan_8kihN0YqhnF8a7.", field="razorpay_id")
