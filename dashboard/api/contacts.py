"""Contacts: searched, read, created, changed, deleted, restored."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic_core import to_json
from starlette.concurrency import run_in_threadpool

from dashboard import cached
from dashboard.api import contact_shapes as shapes
from dashboard.api import cursors, etags, filtering
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.contact_shapes import ContactPage, ContactValues, WholeContact
from dashboard.api.etags import TAGGED, IfMatch
from dashboard.api.filtering import FILTERED
from dashboard.api.ids import ContactId
from models.contacts import difference, records, search
from models.errors import InvalidInput
from models.filters import AS_OF
from models.permissions import Actor, Permission

router = APIRouter(prefix="/contacts", tags=["contacts"], route_class=Repeatable)
OWN = ("fields", "sort", "after", "size", "count")  # what is no filter
VERSION = "version"
JSON = "application/json"

Reader = Annotated[Actor, Needs(Permission.CONTACTS_READ)]
Editor = Annotated[Actor, Needs(Permission.CONTACTS_EDIT)]


@router.get(
    "", response_model=ContactPage, response_model_exclude_unset=True, summary="Search contacts", openapi_extra=FILTERED
)
async def listed(
    request: Request,
    by: Reader,
    fields: Annotated[
        str | None,
        Query(
            description="Fields to answer, with commas; all without. Beside them: created_at, updated_at, version.",
            max_length=2000,
            examples=["email,company"],
        ),
    ] = None,
    sort: Annotated[str, Query(description=filtering.SORTED, max_length=60)] = search.NEWEST_FIRST,
    after: Annotated[str | None, Query(description="`next` of the page before.", max_length=cursors.LONGEST)] = None,
    size: Annotated[int, Query(ge=1, le=search.MAX_PAGE_SIZE)] = 50,
    count: Annotated[bool, Query(description="Also how many match in all.")] = False,
) -> Response:
    """A keyset page of the contacts that match. Every other parameter is a filter, as on the screen: `country=Germany`,
    `employees.gte=50`, `q=words`, `as_of=2026-11-01`, `or1.title.contains=CEO`. Where `q` finds nothing the answer
    has `meant`."""
    asked = filtering.of(request, *OWN, by=by)
    belongs = f"{asked.query()}\n{sort}"
    keys = cursors.read(after, belongs) if after else None
    chosen = filtering.names(fields) if fields is not None else None
    if chosen == []:
        raise InvalidInput("fields: name at least one, or leave it out for all.", field="fields")
    versioned = chosen is not None and VERSION in chosen and not asked.as_of
    columns = None if chosen is None else [name for name in chosen if name != VERSION]
    wanted: dict[str, Any] = {
        "columns": columns, "sort": sort, "after": keys, "size": size, "versioned": versioned, "by": by,
    }  # fmt: skip
    if count:
        page = await run_in_threadpool(search.following, asked, counted=True, **wanted)
    else:
        page = await search.following_soon(asked, **wanted)
    told: dict[str, Any] = {
        "contacts": shapes.rows(page.rows),
        "next": cursors.written(page.after, belongs) if page.after else None,
    }
    if count:
        told["total"] = page.total
    if asked.q and not page.rows and not after:
        meant = await run_in_threadpool(cached.meant, asked, by=by)
        told["meant"] = meant.q if meant else None
    return Response(to_json(told), media_type=JSON)


@router.post(
    "",
    status_code=201,
    response_model=WholeContact,
    response_model_exclude_unset=True,
    summary="Create one",
    responses={201: etags.LOCATED},
)
def create(
    by: Editor,
    values: ContactValues,
    anyway: Annotated[bool, Query(description="Also where one that can be no other is there.")] = False,
) -> Response:
    """Answers 409 with `contact_id` where one with the same e-mail address, LinkedIn page or external id is there."""
    made = records.created(shapes.texts(values), anyway=anyway, by=by)
    return answered(made, 201, {"location": f"/api/v1/contacts/{made.id}"})


@router.get(
    "/{contact_id:number}",
    response_model=WholeContact,
    response_model_exclude_unset=True,
    summary="Read one",
    responses=TAGGED,
)
async def read(
    by: Reader,
    contact_id: ContactId,
    as_of: Annotated[
        str | None,
        Query(
            max_length=100,
            description="As it was then: a day's end, a moment, or import:7 or before:7, in UTC.",
            examples=["2026-11-01"],
        ),
    ] = None,
) -> Response:
    """With its ETag, unless it is of the past. One that was deleted answers 410, with `into` where it was merged into
    another one."""
    when = difference.moment(as_of, AS_OF) if as_of is not None else None
    if when is not None:
        was = await run_in_threadpool(records.as_it_was, contact_id, when, by=by)
        return Response(to_json(shapes.record(was)), media_type=JSON)
    return answered(await records.get_soon(contact_id, by=by))


@router.put(
    "/{contact_id:number}",
    response_model=WholeContact,
    response_model_exclude_unset=True,
    summary="Replace one",
    responses=TAGGED,
)
def replace(by: Editor, contact_id: ContactId, values: ContactValues, if_match: IfMatch = None) -> Response:
    """Every field that you see becomes what you send; what you leave out becomes as in a new contact: empty, but for
    its status. Send fields alone, without `id`, `version` and what else an answer has beside them."""
    version = _version(if_match, contact_id, by)
    return answered(records.update(contact_id, shapes.replaced(values, by), version=version, by=by))


@router.patch(
    "/{contact_id:number}",
    response_model=WholeContact,
    response_model_exclude_unset=True,
    summary="Change one",
    responses=TAGGED,
)
def change(by: Editor, contact_id: ContactId, values: ContactValues, if_match: IfMatch = None) -> Response:
    """Only what you send is changed; null empties a field."""
    version = _version(if_match, contact_id, by)
    return answered(records.update(contact_id, shapes.texts(values), version=version, by=by))


@router.delete("/{contact_id:number}", status_code=204, summary="Delete one")
def delete(by: Editor, contact_id: ContactId, if_match: IfMatch = None) -> None:
    """`POST /contacts/{contact_id}/restore` brings it back."""
    records.delete(contact_id, version=_version(if_match, contact_id, by), by=by)


@router.post(
    "/{contact_id:number}/restore",
    response_model=WholeContact,
    response_model_exclude_unset=True,
    summary="Restore one",
    responses=TAGGED,
)
def restore(by: Editor, contact_id: ContactId) -> Response:
    """Bring a deleted contact back as it was."""
    return answered(records.restore(contact_id, by=by))


def _version(if_match: str | None, contact_id: int, by: Actor) -> int:
    return records.get(contact_id, by=by).version if etags.is_any(if_match) else etags.version(if_match)


def answered(found: records.Record, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    tagged = {"etag": etags.of(found.version), **(headers or {})}
    return Response(to_json(shapes.record(found)), status, tagged, JSON)
