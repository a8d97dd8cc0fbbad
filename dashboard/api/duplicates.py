"""Possible duplicates: the search for them, its pairs, and what people decide of these."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from dashboard import flow_runs
from dashboard.api import etags
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.ids import ContactId, Id
from dashboard.api.moments import Moment
from models.contacts import merging
from models.database import LARGEST_BIGINT
from models.duplicates import pairs, runs
from models.duplicates.pairs import Wanted
from models.duplicates.tables import Decision, State
from models.permissions import Actor, Permission

router = APIRouter(prefix="/duplicates", tags=["duplicates"], route_class=Repeatable)

Editor = Annotated[Actor, Needs(Permission.CONTACTS_EDIT)]
Pairing = "/pairs/{left_id:number}/{right_id:number}"
MOST_BITS = 1_000


class DuplicateRun(BaseModel):
    """`compared` pairs were weighed, `pairs` of them are possible duplicates, in `clusters` of contacts; `left_out` are
    the weakest, of which there were too many."""

    id: int
    state: State
    step: str | None = Field(description="What is being done, of a search under way.", examples=["compare"])
    error: str | None
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    contacts: int
    compared: int
    pairs: int
    clusters: int
    left_out: int
    seconds: float


class DuplicateState(BaseModel):
    """`last_done` is the search whose pairs are there."""

    newest: DuplicateRun | None
    last_done: DuplicateRun | None
    open_pairs: int


class PairReason(BaseModel):
    """`found` is in words how alike `title` is, `bits` what that weighs: 10 make it a thousand times as likely."""

    of: str
    title: str
    found: str
    bits: float


class DuplicatePair(BaseModel):
    """`weight` is in bits; `changed` are those whose contact changed since they were compared. Of a pair that is only
    decided weight and reasons are missing."""

    left_id: int
    right_id: int
    left_label: str
    right_label: str
    weight: float | None
    probability: float | None
    reasons: list[PairReason]
    changed: list[int]
    cluster_id: int | None
    decision: Decision | None
    decided_by: str | None
    decided_at: Moment | None


class DuplicatePairs(BaseModel):
    pairs: list[DuplicatePair]
    total: int


class DuplicateCluster(BaseModel):
    contact_ids: list[int] = Field(description="These two first.")


class PairDecision(BaseModel):
    model_config = ConfigDict(extra="forbid")

    decision: Decision


@router.get("", summary="Read how the search stands")
def state(by: Editor) -> DuplicateState:
    """For who sees every column: a pair's weight tells what hidden ones hold."""
    newest, done = runs.newest(by=by), runs.last_done(by=by)
    return DuplicateState(
        newest=_run(newest) if newest else None,
        last_done=_run(done) if done else None,
        open_pairs=pairs.count(Wanted(), by=by),
    )


@router.post(
    "/runs", status_code=HTTPStatus.ACCEPTED, summary="Look for duplicates", responses={202: etags.PLACED}
)  # fmt: skip
def ask(by: Editor, response: Response) -> DuplicateRun:
    """Among all contacts; of a search that is under way its number."""
    run_id = runs.ask(by=by)
    flow_runs.start_finding(run_id)
    response.headers["location"] = f"/api/v1/duplicates/runs/{run_id}"
    return _run(runs.get(run_id, by=by))


@router.get("/runs/{run_id:number}", summary="Read a search for duplicates")
def read_run(by: Editor, run_id: Id) -> DuplicateRun:
    return _run(runs.get(run_id, by=by))


@router.post(
    "/runs/{run_id:number}/cancel", status_code=HTTPStatus.NO_CONTENT, summary="Stop a search for duplicates"
)  # fmt: skip
def cancel(by: Editor, run_id: Id) -> None:
    """It ends at its next step; the pairs of before stay."""
    runs.cancel(run_id, by=by)


@router.get("/pairs", summary="List possible duplicates")
def listed(
    by: Editor,
    decision: Annotated[Decision | None, Query(description="Those decided so; open ones without.")] = None,
    least: Annotated[
        float, Query(ge=0, le=MOST_BITS, allow_inf_nan=False, description="Bits that they weigh at least.")
    ] = 0,
    contact_id: Annotated[int | None, Query(ge=1, le=LARGEST_BIGINT)] = None,
    size: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=runs.MOST)] = 0,
) -> DuplicatePairs:
    """The surest first; decided ones, the newest decision first."""
    wanted = Wanted(decision, least, contact_id)
    found = pairs.page(wanted, size=size, offset=offset, by=by)
    return DuplicatePairs(pairs=list(map(_pair, found)), total=pairs.count(wanted, by=by))


@router.get(Pairing, summary="Read a pair")
def read(by: Editor, left_id: ContactId, right_id: ContactId) -> DuplicatePair:
    """Whatever was decided of it."""
    return _pair(pairs.get(left_id, right_id, by=by))


@router.get(f"{Pairing}/cluster", summary="List what hangs together with a pair")
def cluster(by: Editor, left_id: ContactId, right_id: ContactId) -> DuplicateCluster:
    """As many contacts as can be merged at once."""
    return DuplicateCluster(contact_ids=pairs.cluster(left_id, right_id, most=merging.MOST, by=by))


@router.put(f"{Pairing}/decision", status_code=HTTPStatus.NO_CONTENT, summary="Decide of two contacts")
def decide(by: Editor, left_id: ContactId, right_id: ContactId, wanted: PairDecision) -> None:
    """“not the same”: no search finds them again. “later”: the pair waits at a place of its own."""
    pairs.decide(left_id, right_id, wanted.decision, by=by)


@router.delete(f"{Pairing}/decision", status_code=HTTPStatus.NO_CONTENT, summary="Withdraw a decision")
def withdraw(by: Editor, left_id: ContactId, right_id: ContactId) -> None:
    """The pair is open again."""
    pairs.withdraw(left_id, right_id, by=by)


def _run(one: Any) -> DuplicateRun:
    return DuplicateRun.model_validate(one, from_attributes=True)


def _pair(one: pairs.Pair) -> DuplicatePair:
    return DuplicatePair.model_validate(one, from_attributes=True)
