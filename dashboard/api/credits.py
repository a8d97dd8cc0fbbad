"""Download credits: one's own and those of others, with their ledger; granted and taken back."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.ids import Id
from dashboard.api.moments import Moment
from dashboard.api.sign_in_shapes import Body
from models import credits, user_list
from models.credit_ledger import Kind
from models.database import LARGEST_BIGINT
from models.permissions import OPERATOR, Actor, Permission

router = APIRouter(tags=["credits"], route_class=Repeatable)
MOST = 1000  # entries of a page
Person = Annotated[Actor, Needs()]
Manager = Annotated[Actor, Needs(Permission.USERS_MANAGE)]
Granter = Annotated[Actor, Needs(Permission.CREDITS_GRANT, Permission.USERS_MANAGE)]
Before = Annotated[int | None, Query(ge=1, le=LARGEST_BIGINT, description="`next` of the page before.", examples=[812])]
Size = Annotated[int, Query(ge=1, le=MOST)]


class CreditBalance(BaseModel):
    """`limit`, `left` and `available` are null where there is no limit."""

    limit: int | None = Field(description="Of a month.", examples=[100])
    used: int = Field(description="Contacts of this month, those of exports under way included.", examples=[12])
    left: int | None = Field(description="Of this month's.", examples=[88])
    lasting: int = Field(description="Granted or bought; they stay.", examples=[200])
    available: int | None = Field(examples=[288])
    renews: date = Field(description="When the month's begin anew, in UTC.", examples=["2026-12-01"])


class CreditEntry(BaseModel):
    """A line of the ledger: `balance` is that of its pool after it, of the `month` or, where that is null, of what
    lasts."""

    id: int = Field(examples=[812])
    at: Moment
    month: date | None = Field(examples=["2026-11-01"])
    kind: Kind
    what: str = Field(description="In a word.", examples=["taken"])
    amount: int = Field(examples=[-12])
    balance: int = Field(examples=[88])
    export_id: int | None = Field(examples=[7])
    by: str = Field(examples=["Ann Archer"])
    note: str | None = Field(examples=["for the fair"])


class CreditLedger(BaseModel):
    """Newest first; `next` goes into `before` for the following page, and is null on the last one."""

    entries: list[CreditEntry]
    next: int | None = Field(examples=[801])


class CreditGrant(Body):
    amount: int = Field(strict=True, ge=1, le=credits.MOST, description="Each takes one contact out.", examples=[200])
    note: str | None = Field(None, max_length=200, examples=["for the fair"])


@router.get("/credits", summary="Your credits")
def own(by: Person) -> CreditBalance:
    return _balance(credits.balance(by=by))


@router.get("/credits/entries", summary="Your ledger")
def own_entries(by: Person, before: Before = None, size: Size = 50) -> CreditLedger:
    return _ledger(None, before, size, by)


@router.get("/users/{user_id:number}/credits", summary="The credits of a person")
def of_another(by: Manager, user_id: Id) -> CreditBalance:
    return _balance(credits.balance(of=user_id, by=by))


@router.get("/users/{user_id:number}/credits/entries", summary="The ledger of a person")
def entries_of_another(by: Manager, user_id: Id, before: Before = None, size: Size = 50) -> CreditLedger:
    return _ledger(user_id, before, size, by)


@router.post("/users/{user_id:number}/credits", summary="Grant credits")
def grant(by: Granter, user_id: Id, sent: CreditGrant) -> CreditBalance:
    """They last beyond the month, and are used when the month's are gone."""
    person = user_list.with_id(user_id, by=by)
    return _balance(credits.grant(person.email, sent.amount, sent.note, by=by))


@router.post("/users/{user_id:number}/credits/take-back", summary="Take granted credits back")
def take_back(by: Granter, user_id: Id, sent: CreditGrant) -> CreditBalance:
    """At most what is left of them."""
    person = user_list.with_id(user_id, by=by)
    return _balance(credits.take_back(person.email, sent.amount, sent.note, by=by))


def _balance(found: credits.Balance) -> CreditBalance:
    return CreditBalance.model_validate(found, from_attributes=True)


def _ledger(of: int | None, before: int | None, size: int, by: Actor) -> CreditLedger:
    found = credits.entries(of=of, before_id=before, limit=size + 1, by=by)
    shown = [_entry(one) for one in found[:size]]
    return CreditLedger(entries=shown, next=shown[-1].id if len(found) > size else None)


def _entry(one: credits.Entry) -> CreditEntry:
    line = one.entry
    return CreditEntry(
        id=line.id, at=line.at, month=line.month, kind=Kind(line.kind), what=one.word, amount=line.amount,
        balance=line.balance, export_id=line.export_id, by=one.by_name or OPERATOR.name, note=line.note,
    )  # fmt: skip
