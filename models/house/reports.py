"""Stored rounds of housekeeping, which pipelines/keep_house.py makes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import DateTime, Index, Integer, Text, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models import audit
from models.audit import Event
from models.batches import delete_in_batches
from models.database import Base, by_id, reading, writing
from models.errors import NotFound
from models.house.shapes import DiskSpace, FolderSize, HouseReport
from models.permissions import Actor, Permission, require

FLOW = "keep-house"  # that makes them


class StoredHouseReport(Base):
    """`host` is the machine that took stock: of its disks and folders."""

    __tablename__ = "house_reports"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    made_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    made_by: Mapped[int | None]
    host: Mapped[str] = mapped_column(Text)
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)

    __table_args__ = (Index("house_reports_at", "made_at"),)


@dataclass(frozen=True)
class Made:
    id: int
    made_at: datetime
    host: str
    report: HouseReport


@dataclass(frozen=True)
class Listed:
    """For charts, in bytes."""

    id: int
    made_at: datetime
    host: str
    database_bytes: int
    disks: list[DiskSpace]
    folders: list[FolderSize]


def latest(*, by: Actor) -> Made | None:
    """Raises NotAllowed."""
    require(by, Permission.SERVER_OVERSEE)
    with reading() as session:
        found = session.scalar(select(StoredHouseReport).order_by(StoredHouseReport.id.desc()).limit(1))
        return None if found is None else _made(found)


def get(report_id: int, *, by: Actor) -> Made:
    """Raises NotAllowed, NotFound."""
    require(by, Permission.SERVER_OVERSEE)
    with reading() as session:
        found = by_id(session, StoredHouseReport, report_id)
        if found is None:
            raise NotFound(f"There is no housekeeping report {report_id}.")
        return _made(found)


def listed(*, limit: int = 60, by: Actor) -> list[Listed]:
    """The newest first. Raises NotAllowed."""
    require(by, Permission.SERVER_OVERSEE)
    stored = StoredHouseReport
    body = stored.body
    wanted = select(
        stored.id, stored.made_at, stored.host, body["database_bytes"].as_integer(), body["disks"], body["folders"]
    )
    with reading() as session:
        return [
            Listed(
                row[0], row[1], row[2], row[3], [DiskSpace.model_validate(one) for one in row[4]],
                [FolderSize.model_validate(one) for one in row[5]],
            )
            for row in session.execute(wanted.order_by(stored.id.desc()).limit(limit))
        ]  # fmt: skip


def store(report: HouseReport, *, host: str, by: Actor) -> Made:
    """Raises NotAllowed."""
    require(by, Permission.SERVER_OVERSEE)
    with writing(by) as session:
        made = StoredHouseReport(made_by=by.doer_id, host=host, body=report.model_dump(mode="json"))
        session.add(made)
        session.flush()
        session.refresh(made)
        gone = {one.setting.removeprefix("APPOINTMENT360_").lower(): one.removed for one in report.kept if one.removed}
        told = {"removed": gone} if gone else {}
        audit.write(session, Event.HOUSE_KEPT, f"housekeeping report {made.id}", by=by, **told)
        return _made(made)


def clear_past(older_than_days: int) -> int:
    """Remove reports that are older; how many."""
    before = func.clock_timestamp() - timedelta(days=older_than_days)
    return delete_in_batches(StoredHouseReport, StoredHouseReport.made_at < before)


def _made(found: StoredHouseReport) -> Made:
    return Made(found.id, found.made_at, found.host, HouseReport.model_validate(found.body))
