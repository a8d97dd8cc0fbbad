"""Whether it answers, and whether it can serve: for whoever watches."""

import asyncio
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from dashboard import readiness
from dashboard.api import problems
from dashboard.api.again import Repeatable
from models.errors import Unavailable

router = APIRouter(tags=["health"], route_class=Repeatable)


class Health(BaseModel):
    status: Literal["ok"] = "ok"


@router.get("/health", summary="Whether it answers")
async def health() -> Health:
    """While the process is up, whatever it depends on."""
    return Health()


@router.get("/ready", summary="Whether it can serve", responses=problems.told(503))
async def ready() -> Health:
    """503 where the database does not answer, or its schema is another one."""
    try:
        await asyncio.wait_for(run_in_threadpool(readiness.require), readiness.WITHIN)
    except TimeoutError as error:
        raise Unavailable(f"The database did not answer within {readiness.WITHIN} s.") from error
    return Health()
