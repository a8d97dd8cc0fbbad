"""What Razorpay says, read: its entities, with their quirks smoothed (`captured` is true or "1", `error_code` null or
"", moments are seconds since 1970), and an event as the entities in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from models.errors import InvalidInput
from models.payments.states import InvoiceState, OrderState, PaymentState, RefundState, SubscriptionState

LARGEST = 10**15  # paise


def _nothing_if_blank(value: object) -> object:
    return None if value in ("", [], 0) else value


def _is_yes(value: object) -> object:
    return value in (True, "1", 1)


Id = Annotated[str, Field(pattern="^[A-Za-z0-9_]{1,64}$")]
Text = Annotated[str, Field(max_length=2000)]
Blank = Annotated[Text | None, BeforeValidator(_nothing_if_blank)]
Moment = Annotated[AwareDatetime | None, BeforeValidator(_nothing_if_blank)]
Amount = Annotated[int, Field(ge=0, le=LARGEST)]


class Entity(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: Id


class OrderEntity(Entity):
    status: OrderState


class PaymentEntity(Entity):
    status: PaymentState
    amount: Amount
    currency: str = Field(min_length=3, max_length=3)
    order_id: Id | None = None
    invoice_id: Id | None = None
    amount_refunded: Amount = 0
    captured: Annotated[bool, BeforeValidator(_is_yes)] = False
    method: Blank = None
    fee: Amount | None = None
    tax: Amount | None = None
    error_code: Blank = None
    error_description: Blank = None
    created_at: AwareDatetime

    @property
    def state(self) -> PaymentState:
        early = self.status in (PaymentState.CREATED, PaymentState.AUTHORIZED)
        return PaymentState.CAPTURED if self.captured and early else self.status


class RefundEntity(Entity):
    status: RefundState = RefundState.PENDING  # old recordings have none
    payment_id: Id
    amount: Amount
    receipt: Blank = None
    created_at: AwareDatetime


class SubscriptionEntity(Entity):
    status: SubscriptionState
    plan_id: Id
    paid_count: int = Field(0, ge=0, le=10**6)
    current_start: Moment = None
    current_end: Moment = None
    charge_at: Moment = None
    ended_at: Moment = None


class InvoiceEntity(Entity):
    status: InvoiceState
    amount: Amount
    subscription_id: Id | None = None
    payment_id: Id | None = None
    short_url: Blank = None
    issued_at: Moment = None


@dataclass(frozen=True)
class Told:
    """An event, read. `at` is when it happened, by Razorpay's clock."""

    kind: str
    at: datetime
    order: OrderEntity | None = None
    payment: PaymentEntity | None = None
    refund: RefundEntity | None = None
    subscription: SubscriptionEntity | None = None
    invoice: InvoiceEntity | None = None
    subscriber: Entity | None = None
    """The subscription that was paid for, where nothing else is told of it: our own note of a return."""

    @property
    def is_charge(self) -> bool:
        """Whether the payment is the subscription's charge of a month."""
        return self.kind == "subscription.charged"

    def __bool__(self) -> bool:
        return any((self.order, self.payment, self.refund, self.subscription, self.invoice))


_ENTITIES: Mapping[str, type[Entity]] = {
    "order": OrderEntity, "payment": PaymentEntity, "refund": RefundEntity, "subscription": SubscriptionEntity,
    "invoice": InvoiceEntity, "subscriber": Entity,
}  # fmt: skip


def read(body: bytes) -> Told:
    """Raises InvalidInput, naming what cannot be read."""
    whole = _object(body)
    kind, at = whole.get("event"), whole.get("created_at")
    if not isinstance(kind, str) or not isinstance(at, int | float):
        raise InvalidInput("The event has no “event” and “created_at”, as every one of Razorpay has.")
    return Told(kind, datetime.fromtimestamp(at, UTC), **_read(_parts(whole)))


def entity(name: str, value: object) -> Any:
    """One thing of an answer of Razorpay: “payment”, “refund”, ... Raises InvalidInput."""
    return _read({name: value})[name]


def outline(body: bytes) -> tuple[str, datetime | None, list[str]]:
    """What can be said of an event before it is read: its kind, its moment, and the names of what it is about."""
    try:
        whole = _object(body)
        parts = _parts(whole)
    except InvalidInput:
        return "unreadable", None, []
    kind, at = whole.get("event"), whole.get("created_at")
    names = [found for part in parts.values() if isinstance(part, dict) and isinstance(found := part.get("id"), str)]
    moment = datetime.fromtimestamp(at, UTC) if isinstance(at, int | float) and 0 < at < 10**11 else None
    return _clean(kind) if isinstance(kind, str) else "unreadable", moment, [_clean(name) for name in names]


def differing(values: Mapping[str, Any], stored: object, names: Sequence[str]) -> list[str]:
    """Those of the `names` under which a stored row has something else."""
    return [name for name in names if getattr(stored, name) != values[name]]


def _object(body: bytes) -> dict[str, Any]:
    try:
        whole = from_json(body)
    except ValueError as error:
        raise InvalidInput("The event is no JSON.") from error
    if not isinstance(whole, dict):
        raise InvalidInput("The event is no JSON object.")
    return whole


def _parts(whole: Mapping[str, Any]) -> dict[str, Any]:
    payload = whole.get("payload")
    if not isinstance(payload, dict):
        raise InvalidInput("The event has no “payload”.")
    return {name: part.get("entity") for name, part in payload.items() if isinstance(part, dict) and name in _ENTITIES}


def _read(parts: Mapping[str, object]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in parts.items():
        try:
            found[name] = _ENTITIES[name].model_validate(value)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(str(part) for part in (name, *first["loc"]))
            # Without its cause, which would bring the payer's data into the log.
            raise InvalidInput(f"The event cannot be read: {place}: {first['msg']}.") from None
    return found


def _clean(text: str) -> str:
    return text.replace("\x00", "")[:100]
