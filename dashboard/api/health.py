"""Whether it answers, and whether it can serve: for whoever watches."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from dashboard import readiness
from dashboard.api import problems
from dashboard.api.again import Repeatable
from models.errors import Unavailable

router = APIRouter(tags=["health"], route_class=Repeatable)


class Health(BaseModel):
    status: Literal["ok"] = "ok"
    disk: Literal["ok", "low", "unknown"] = Field(
        description="That of the stored files, as this instance sees it: low is below APPOINTMENT360_DISK_WARNING."
    )


@router.get("/health", summary="Whether it answers")
def health() -> Health:
    """While the process is up, whatever it depends on."""
    return Health(disk=readiness.disk())


@router.get("/ready", summary="Whether it can serve", responses=problems.told(503))
async def ready() -> Health:
    """503 where the database does not answer, its schema is another one, or this instance is about to end."""
    if fault := await readiness.fault():
        raise Unavailable(fault)
    return Health(disk=readiness.disk())
