"""Saved views: a name for a filter with its columns and its order, one's own or shared."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from dashboard.api import etags, filtering, problems
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.filtering import Conditions
from dashboard.api.ids import Id
from dashboard.api.moments import Moment
from dashboard.api.strict import Flag, Text
from models import view_changes, views
from models.contacts import search
from models.permissions import Actor, Permission

router = APIRouter(prefix="/views", tags=["views"], route_class=Repeatable)

Reader = Annotated[Actor, Needs(Permission.CONTACTS_READ)]
MOST_COLUMNS = 100
ViewName = Annotated[Text, Field(min_length=1, max_length=view_changes.LONGEST, examples=["German leads"])]


class View(BaseModel):
    """As you see it: `columns` null is each reader's own choice, and what you may not see is left out. Where the filter
    cannot be used `problem` says why, and `filter` is null where it would tell of hidden columns."""

    id: int
    name: str
    shared: bool
    mine: bool
    owner: str = Field(examples=["Ann Archer"])
    editable: bool
    filter: str | None = Field(examples=["country=Germany&employees.gte=50"])
    sentence: str | None = Field(description="The filter in words.", examples=["Country is Germany"])
    columns: list[str] | None = Field(examples=[["full_name", "email", "company"]])
    sort: str = Field(examples=["-id"])
    problem: str | None
    changed_at: Moment
    used_at: Moment | None
    deleted_at: Moment | None
    put_back_to: str | None = Field(description="The filter before the last change, in words.")


class ViewList(BaseModel):
    views: list[View]


class ViewContents(BaseModel):
    model_config = ConfigDict(extra="forbid")

    filter: Conditions = ""
    columns: list[Annotated[str, Field(max_length=60)]] | None = Field(
        None, min_length=1, max_length=MOST_COLUMNS, description="Null: each reader's own choice.",
        examples=[["full_name", "email"]],
    )  # fmt: skip
    sort: str = Field(search.NEWEST_FIRST, max_length=60, examples=["-id"])

    def parsed(self, by: Actor) -> dict[str, Any]:
        """Raises InvalidInput, NotAllowed."""
        return {"filters": filtering.read(self.filter, by=by), "columns": self.columns, "sort": self.sort}


class NewView(ViewContents):
    name: ViewName
    shared: Flag = False


class NewViewName(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: ViewName


class ViewCount(BaseModel):
    id: int
    count: int | None = Field(description="Null where it cannot be used, or counting takes too long.")


class ViewCounts(BaseModel):
    counts: list[ViewCount]


@router.get("", summary="List views", responses=problems.told(404))
def listed(
    by: Reader,
    name: Annotated[
        str | None, Query(max_length=200, description="Only the one of that name: your own, else a shared one.")
    ] = None,
) -> ViewList:
    """Your own by name, then those that others share."""
    found = views.listed(by=by) if name is None else [views.find(name, by=by)]
    return ViewList(views=list(map(_view, found)))


@router.get("/deleted", summary="List deleted views")
def deleted(by: Reader) -> ViewList:
    """Those that you may bring back, the last deleted first."""
    return ViewList(views=list(map(_view, views.deleted(by=by))))


@router.get("/counts", summary="Count the contacts of every view")
def counts(by: Reader) -> ViewCounts:
    found = views.listed(by=by)
    numbers = iter(views.counts([one.filters for one in found if one.filters is not None], by=by))
    told = [ViewCount(id=one.id, count=None if one.filters is None else next(numbers)) for one in found]
    return ViewCounts(counts=told)


@router.post("", status_code=HTTPStatus.CREATED, summary="Save a view", responses={201: etags.PLACED})
def save(by: Reader, wanted: NewView, response: Response) -> View:
    made = view_changes.save(wanted.name, shared=wanted.shared, **wanted.parsed(by), by=by)
    response.headers["location"] = f"/api/v1/views/{made.id}"
    return _view(made)


@router.get("/{view_id:number}", summary="Read a view")
def read(by: Reader, view_id: Id) -> View:
    return _view(views.get(view_id, by=by))


@router.put("/{view_id:number}", summary="Change what a view holds")
def change(by: Reader, view_id: Id, wanted: ViewContents) -> View:
    """Filter, columns and order; what stood there is kept for `put-back`."""
    return _view(view_changes.change(view_id, **wanted.parsed(by), by=by))


@router.patch("/{view_id:number}", summary="Rename a view")
def rename(by: Reader, view_id: Id, wanted: NewViewName) -> View:
    return _view(view_changes.rename(view_id, wanted.name, by=by))


@router.post("/{view_id:number}/share", summary="Share a view")
def share(by: Reader, view_id: Id) -> View:
    """Everybody may use it from then on."""
    return _view(view_changes.share(view_id, by=by))


@router.post("/{view_id:number}/unshare", summary="Keep a view to oneself again")
def unshare(by: Reader, view_id: Id) -> View:
    return _view(view_changes.share(view_id, False, by=by))


@router.delete("/{view_id:number}", status_code=HTTPStatus.NO_CONTENT, summary="Delete a view")
def delete(by: Reader, view_id: Id) -> None:
    """It can be brought back for 30 days; its schedules rest so long."""
    view_changes.delete(view_id, by=by)


@router.post("/{view_id:number}/restore", summary="Bring a deleted view back")
def restore(by: Reader, view_id: Id) -> View:
    """Where its name was taken meanwhile it comes with a number behind it."""
    return _view(view_changes.restore(view_id, by=by))


@router.post("/{view_id:number}/put-back", summary="Undo the last change of a view")
def put_back(by: Reader, view_id: Id) -> View:
    """A second time takes that back."""
    return _view(view_changes.put_back(view_id, by=by))


@router.post("/{view_id:number}/use", status_code=HTTPStatus.NO_CONTENT, summary="Note that a view was used")
def use(by: Reader, view_id: Id) -> None:
    """So that its owner sees which ones are in use."""
    views.get(view_id, by=by)
    view_changes.use(view_id, by=by)


def _view(one: views.View) -> View:
    names = View.model_fields.keys() - {"filter", "sentence"}
    told = {name: getattr(one, name) for name in names}
    sentence = None if one.filters is None else one.filters.sentence()
    return View.model_validate(told | {"filter": one.query, "sentence": sentence, "columns": _listed(one.columns)})


def _listed(columns: tuple[str, ...] | None) -> list[str] | None:
    return None if columns is None else list(columns)
