"""The numbers of the overview: of all contacts, or of those that match a filter."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from dashboard.api import filtering
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.filtering import FILTERED
from dashboard.api.moments import Moment
from models.contacts import search
from models.contacts.statistics import Statistics as Numbers
from models.permissions import Actor, Permission

router = APIRouter(prefix="/statistics", tags=["statistics"], route_class=Repeatable)


class ValueCount(BaseModel):
    value: str = Field(examples=["Germany"])
    contacts: int = Field(examples=[410])


class FieldNumbers(BaseModel):
    """The commonest values, at most a thousand; `others` are the contacts that have another one, `empty` none."""

    field: str = Field(examples=["country"])
    values: list[ValueCount]
    others: int = Field(examples=[0])
    empty: int = Field(examples=[17])


class FieldFilled(BaseModel):
    field: str = Field(examples=["email"])
    contacts: int = Field(description="That have a value.", examples=[1233])


class MonthCount(BaseModel):
    month: date = Field(description="Its first day, in UTC.", examples=["2026-11-01"])
    new: int = Field(description="Contacts that were added in it.", examples=[250])
    total: int = Field(description="Those that were added up to its end.", examples=[1250])


class Statistics(BaseModel):
    """Exact, and all of the moment `at`. What is of a field that you may not see is left out, or null."""

    at: Moment
    total: int = Field(examples=[1250])
    new: int = Field(description="Added since `new_since`.", examples=[40])
    new_since: date
    companies: int | None = Field(description="Without regard to capitals.", examples=[310])
    verified: int | None = Field(description="With a verified e-mail address.", examples=[900])
    average_employees: str | None = Field(description="Of the contacts that have the number.", examples=["250.5"])
    average_revenue: str | None = Field(description="In US dollars.", examples=["1250000.00"])
    filled: list[FieldFilled] = Field(description="Every field that you see, in its order.")
    by_field: list[FieldNumbers] = Field(description="Country, seniority, industry, e-mail status.")
    months: list[MonthCount] = Field(description="From the first contact's month to the present.")


@router.get("", summary="Count and describe contacts", openapi_extra=FILTERED)
def read(request: Request, by: Annotated[Actor, Needs(Permission.CONTACTS_READ)]) -> Statistics:
    """Every parameter is a filter, as on the screen: `country=Germany`, `employees.gte=50`, `as_of=2026-11-01`."""
    found = search.statistics_of(filtering.of(request, by=by), by=by)
    seen = found.filled.keys()
    return Statistics(
        at=found.at, total=found.total, new=found.new, new_since=found.new_since,
        companies=found.companies if "company" in seen else None,
        verified=found.verified if "email_status" in seen else None,
        average_employees=None if found.average_employees is None else f"{found.average_employees:f}",
        average_revenue=None if found.average_revenue is None else f"{found.average_revenue:f}",
        filled=[FieldFilled(field=name, contacts=number) for name, number in found.filled.items()],
        by_field=[_of_field(name, found) for name in found.values],
        months=_months(found.months),
    )  # fmt: skip


def _of_field(name: str, found: Numbers) -> FieldNumbers:
    values = [ValueCount(value=value, contacts=number) for value, number in found.values[name].items()]
    return FieldNumbers(field=name, values=values, others=found.beyond(name), empty=found.total - found.filled[name])


def _months(counted: dict[date, int]) -> list[MonthCount]:
    total, months = 0, []
    for month, new in counted.items():
        total += new
        months.append(MonthCount(month=month, new=new, total=total))
    return months
