"""Several contacts made one: proposed, done, listed, taken apart."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from dashboard.api import contact_shapes as shapes
from dashboard.api import problems
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.contact_shapes import WholeContact
from dashboard.api.contacts import JSON
from dashboard.api.ids import ContactId
from dashboard.api.moments import Moment
from dashboard.api.strict import GivenBigId, Natural
from models.contacts import merging, merging_many
from models.contacts.table import FIELDS
from models.database import LARGEST_BIGINT
from models.permissions import Actor, Permission

router = APIRouter(prefix="/merges", tags=["duplicates"], route_class=Repeatable)

Editor = Annotated[Actor, Needs(Permission.CONTACTS_EDIT)]
MOST_BITS = 1_000
ONCE = {"uniqueItems": True}  # what stands twice counts once
Least = Annotated[
    float,
    Field(ge=merging_many.LEAST, le=MOST_BITS, allow_inf_nan=False, description="Bits that a pair weighs at least."),
]


class MergeProposal(BaseModel):
    """`choices` gives each field on which they differ the contact whose value is taken, or 0: all of them united."""

    survivor_id: int
    contacts: list[WholeContact]
    choices: dict[str, int] = Field(examples=[{"title": 17, "tags": 0}])


class MergedOne(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: GivenBigId = Field(examples=[17])
    version: Natural = Field(description="As you saw it.")


class MergeWanted(BaseModel):
    """What `choices` leave open is as proposed."""

    model_config = ConfigDict(extra="forbid")

    survivor_id: GivenBigId = Field(examples=[17])
    contacts: list[MergedOne] = Field(min_length=2, max_length=merging.MOST, description="The survivor among them.")
    choices: dict[str, Natural] = Field(
        {}, max_length=len(FIELDS), examples=[{"title": 17}],
        description="By field the contact whose value stays; 0 is all of their values together, where it is a list.",
    )  # fmt: skip


class MadeMerge(BaseModel):
    id: int
    survivor_id: int


class Merge(MadeMerge):
    """`undone_at` is null while it stands; `label` is what people call the survivor, null where it is gone."""

    label: str | None
    others: list[int]
    by: str
    at: Moment
    undone_at: Moment | None


class Merges(BaseModel):
    """The newest first."""

    merges: list[Merge]


class UnmergedContacts(BaseModel):
    """`restored` came back; `kept` are the survivor's fields that were changed since, and stay as they are."""

    survivor_id: int
    restored: list[int]
    kept: list[str]


class SureGroups(BaseModel):
    groups: list[list[int]] = Field(examples=[[[17, 18]]])
    contacts: int


class MergeMany(BaseModel):
    model_config = ConfigDict(extra="forbid")

    least: Least
    expected: Natural = Field(description="How many groups you saw: another number does nothing.")


class MadeMerges(BaseModel):
    ids: list[int]


class UnmergeMany(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ids: list[GivenBigId] = Field(min_length=1, max_length=merging_many.MOST)


class RestoredByUnmerge(BaseModel):
    restored: int


@router.get(
    "/proposal",
    response_model=MergeProposal,
    response_model_exclude_unset=True,
    summary="Propose a merge",
    responses=problems.told(404, 410),
)  # fmt: skip
def proposal(
    by: Editor,
    contact: Annotated[
        list[Annotated[int, Field(ge=1, le=LARGEST_BIGINT)]],
        Query(min_length=2, max_length=merging.MOST, examples=[[17, 18]], json_schema_extra=ONCE),
    ],
    survivor: Annotated[int | None, Query(ge=1, le=LARGEST_BIGINT, description="Else the fuller one stays.")] = None,
) -> Response:
    """What a merge of these would do, unless somebody chooses otherwise."""
    found = merging.proposal(contact, survivor_id=survivor, by=by)
    told = {
        "survivor_id": found.survivor_id,
        "contacts": [shapes.record(one) for one in found.records],
        "choices": found.choices,
    }
    return Response(to_json(told), media_type=JSON)


@router.get("/sure", summary="List groups that are surely the same")
def sure(by: Editor, least: Annotated[Least, Query()] = merging_many.LEAST) -> SureGroups:
    found = merging_many.sure(least, by=by)
    return SureGroups(groups=[list(group) for group in found.groups], contacts=found.contacts)


@router.get("", summary="List merges")
def listed(
    by: Editor,
    contact_id: Annotated[int | None, Query(ge=1, le=LARGEST_BIGINT, description="Of this survivor.")] = None,
    standing: Annotated[bool, Query(description="Only those that were not taken apart.")] = False,
    size: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Merges:
    found = merging.made(contact_id=contact_id, standing=standing, size=size, by=by)
    return Merges(merges=[_merge(one) for one in found])


@router.post("", status_code=HTTPStatus.CREATED, summary="Merge contacts")
def merge(by: Editor, wanted: MergeWanted) -> MadeMerge:
    """One stays, the others go into it. Answers 409 where one changed since, or is gone; nothing is merged then."""
    versions = {one.id: one.version for one in wanted.contacts}
    made = merging.merge(wanted.survivor_id, versions, wanted.choices, by=by)
    return MadeMerge(id=made, survivor_id=wanted.survivor_id)


@router.post("/sure", status_code=HTTPStatus.CREATED, summary="Merge all groups that are surely the same")
def merge_sure(by: Editor, wanted: MergeMany) -> MadeMerges:
    """Each as it is proposed, in one transaction."""
    return MadeMerges(ids=merging_many.merge(wanted.least, expected=wanted.expected, by=by))


@router.post("/undo", summary="Take merges apart")
def undo_many(by: Editor, wanted: UnmergeMany) -> RestoredByUnmerge:
    """The newest first; each by itself."""
    return RestoredByUnmerge(restored=merging_many.unmerge(wanted.ids, by=by))


@router.post("/{merge_id:number}/undo", summary="Take a merge apart")
def undo_merge(by: Editor, merge_id: ContactId) -> UnmergedContacts:
    """The others come back as they were; of the survivor what still holds what the merge put there."""
    found = merging.unmerge(merge_id, by=by)
    return UnmergedContacts(survivor_id=found.survivor_id, restored=list(found.restored), kept=list(found.kept))


def _merge(one: merging.Merged) -> Merge:
    told: dict[str, Any] = {name: getattr(one, name) for name in ("id", "survivor_id", "label", "at", "undone_at")}
    return Merge(**told, others=list(one.others), by=one.by_name)
