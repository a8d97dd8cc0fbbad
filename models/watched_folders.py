"""Folders that are watched: a place whose new files become imports by schedule, each once by its content.

An administrator sets one up, with their own rights; everybody who imports sees what became of its files. Looks are in
watched_looks, what they note of files in watched_files.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Boolean, DateTime, Identity, Index, Integer, Text, func, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import accounts, audit, file_places, imports, mappings, schedule_times, users
from models.accounts import User
from models.audit import Event
from models.database import Base, by_id, named_once, reading, writing
from models.errors import Conflict, InvalidInput, NotAllowed, NotFound, about
from models.imports import Keep, MatchRule
from models.mapping_contents import RememberedMapping
from models.permissions import Actor, Permission, require
from models.settings import settings

SOONEST = timedelta(minutes=1)
LONGEST_NAME, LONGEST_PATTERN = 80, 200
KINDS = {"match": MatchRule, "keep": Keep}


class WatchedFolder(Base):
    __tablename__ = "watched_folders"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)  # see file_places
    pattern: Mapped[str] = mapped_column(Text)  # of names: *.csv
    cron: Mapped[str] = mapped_column(Text)
    time_zone: Mapped[str] = mapped_column(Text)
    mapping_id: Mapped[int | None]  # None: what is remembered for the file's headers
    rules: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")  # those that no mapping changes
    commits: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    is_active: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    owner_id: Mapped[int | None]  # whose rights it has; None is the operator
    mail_to: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    removed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    next_look: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    looked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    error: Mapped[str | None] = mapped_column(Text)  # of the last look
    tries: Mapped[int] = mapped_column(Integer, server_default="0")  # looks that began since one ended

    __table_args__ = (
        Index(
            "watched_folders_name", func.lower(text("name")), unique=True,
            postgresql_where=text("removed_at IS NULL"),
        ),
    )  # fmt: skip


@dataclass(frozen=True)
class Watching:
    """How a folder is to be watched. `schedule` is a cron or a word of schedule_times; `mapping_id` None takes what is
    remembered for a file's headers; `rules` are those that no mapping changes: {"match": ..., "keep": ...}. With
    `commits` it writes what its plan says; else a person commits. `mail_to` is somebody's e-mail."""

    name: str
    address: str
    schedule: str
    pattern: str = "*"
    time_zone: str = "UTC"
    mapping_id: int | None = None
    rules: Mapping[str, str] = field(default_factory=dict)
    commits: bool = False
    mail_to: str | None = None


@dataclass(frozen=True)
class Folder:
    """A watched folder with what stands elsewhere: names of people, and how many files came, wait and failed."""

    id: int
    watching: Watching
    is_active: bool
    owner: str | None  # None is the command line
    mapping: str | None
    next_look: datetime
    looked_at: datetime | None
    error: str | None
    files: int

    @property
    def schedule(self) -> str:
        """“At 06:00 every day, UTC”."""
        return schedule_times.sentence(self.watching.schedule, self.watching.time_zone)


def listed(*, by: Actor) -> list[Folder]:
    """By name. Raises NotAllowed."""
    require(by, Permission.IMPORTS_RUN)
    with reading() as session:
        return _read(session)


def get(folder_id: int, *, by: Actor) -> Folder:
    """Raises NotAllowed, NotFound."""
    require(by, Permission.IMPORTS_RUN)
    with reading() as session:
        found = [one for one in _read(session) if one.id == folder_id]
    if not found:
        raise NotFound(f"There is no watched folder {folder_id}.")
    return found[0]


def named(name: str, *, by: Actor) -> Folder:
    """The one of that name or number. Raises NotAllowed, NotFound with those there are."""
    require(by, Permission.IMPORTS_RUN)
    with reading() as session:
        there = _read(session)
    found = [one for one in there if name.strip().lower() in (one.watching.name.lower(), str(one.id))]
    if not found:
        others = ", ".join(f"“{one.watching.name}”" for one in there) or "none"
        raise NotFound(f"There is no watched folder “{name}”. Watched are: {others}.")
    return found[0]


def add(wanted: Watching, *, by: Actor) -> int:
    """Watch a folder, with the rights of `by`; returns its id. The first look is at the next minute.

    Raises NotAllowed, InvalidInput, NotFound (mapping, person), Conflict (the name is taken).
    """
    require_setting_up(by)
    clean = checked(wanted, by=by)
    with _one_name(clean.name), writing(by) as session:
        made = WatchedFolder(owner_id=by.id, next_look=func.now(), **_columns(session, clean))
        session.add(made)
        session.flush()
        audit.write(session, Event.FOLDER_ADDED, _subject(made), by=by, after=asdict(clean))
        return made.id


def change(folder_id: int, wanted: Watching, *, by: Actor) -> None:
    """Watch it otherwise from now on, with the rights of `by`. Raises as `add` does."""
    require_setting_up(by)
    clean = checked(wanted, by=by)
    before = get(folder_id, by=by).watching
    with _one_name(clean.name), writing(by) as session:
        found = locked(session, folder_id)
        for name, value in _columns(session, clean).items():
            setattr(found, name, value)
        found.owner_id, found.error, found.tries = by.id, None, 0
        found.next_look = schedule_times.next_after(clean.schedule, clean.time_zone, moment(session))
        session.flush()
        was, now = asdict(before), asdict(clean)
        differing = [name for name in now if was[name] != now[name]]
        audit.write(
            session, Event.FOLDER_CHANGED, _subject(found), by=by,
            before={name: was[name] for name in differing}, after={name: now[name] for name in differing},
        )  # fmt: skip


def remove(folder_id: int, *, by: Actor) -> None:
    """Watch it no more; what came of it stays. Raises NotAllowed, NotFound."""
    require_setting_up(by)
    with writing(by) as session:
        found = locked(session, folder_id)
        found.removed_at = func.now()
        audit.write(session, Event.FOLDER_REMOVED, _subject(found), by=by, before={"address": found.address})


def activate(folder_id: int, active: bool, *, by: Actor) -> None:
    """Go on watching, or pause. Raises NotAllowed, NotFound."""
    imports.require_importing(by)
    with writing(by) as session:
        found = locked(session, folder_id)
        if found.is_active == active:
            return
        found.is_active = active
        found.next_look = schedule_times.next_after(found.cron, found.time_zone, moment(session))
        audit.write(
            session, Event.FOLDER_CHANGED, _subject(found), by=by, before={"active": not active},
            after={"active": active},
        )  # fmt: skip


def look_soon(folder_id: int, *, by: Actor) -> None:
    """Let the next look come within a minute, also of a paused one's. Raises NotAllowed, NotFound."""
    imports.require_importing(by)
    with writing(by) as session:
        found = locked(session, folder_id)
        if not found.is_active:
            raise Conflict(f"“{found.name}” is paused: let it go on first.")
        found.next_look, found.tries = func.now(), 0


def locked(session: Session, folder_id: int) -> WatchedFolder:
    """Raises NotFound, also for one that was removed."""
    found = by_id(session, WatchedFolder, folder_id, locked=True)
    if found is None or found.removed_at is not None:
        raise NotFound(f"There is no watched folder {folder_id}.")
    return found


def checked(wanted: Watching, *, by: Actor) -> Watching:
    """As it is kept. Raises InvalidInput, NotFound, NotAllowed."""
    name, pattern = " ".join(wanted.name.split()), wanted.pattern.strip() or "*"
    if not name or len(name) > LONGEST_NAME or not name.isprintable() or name.isdecimal():
        raise InvalidInput(f"Give the watched folder a name of at most {LONGEST_NAME} letters.", field="name")
    if len(pattern) > LONGEST_PATTERN or "/" in pattern or not pattern.isprintable():
        raise InvalidInput("The pattern is one of file names, such as *.csv: without slashes.", field="pattern")
    address = file_places.checked(wanted.address)
    require_watchable(address, by=by)
    for rule, value in wanted.rules.items():
        if rule not in KINDS or value not in list(KINDS[rule]):
            known = ", ".join(KINDS.get(rule, ()))
            raise InvalidInput(
                f"{rule} cannot be “{value}”{f': choose one of {known}' if known else ''}.", field=f"rules.{rule}"
            )
    if wanted.mapping_id is not None:
        mappings.get(wanted.mapping_id, by=by)
    cron = schedule_times.parsed(wanted.schedule, wanted.time_zone, soonest=SOONEST, field="schedule")
    with about("mail_to"):
        mail_to = accounts.clean_email(wanted.mail_to) if wanted.mail_to else None
    return replace(
        wanted, name=name, pattern=pattern, address=address, schedule=cron, rules=dict(wanted.rules), mail_to=mail_to
    )  # fmt: skip


def require_watchable(address: str, *, by: Actor) -> None:
    """Whoever runs the machine may let any of its folders be watched, others only those below
    APPOINTMENT360_WATCH_ROOTS: a file of the server that becomes contacts is read by everybody. Raises InvalidInput."""
    if file_places.is_s3(address) or by.id is None:
        return
    roots = [root.strip() for root in settings().watch_roots.split(",") if root.strip()]
    real = Path(address).resolve()
    if any(real.is_relative_to(Path(root).resolve()) for root in roots):
        return
    where = f"below {' or '.join(roots)}" if roots else "that APPOINTMENT360_WATCH_ROOTS names: none is set"
    raise InvalidInput(
        f"{address} may not be watched: of the server's folders those {where}. Whoever runs the machine can set up any "
        "with `appointment360 watch add`.",
        field="address",
    )


def require_setting_up(by: Actor) -> None:
    """Raises NotAllowed."""
    require(by, Permission.FOLDERS_WATCH)
    if not imports.sees_all(by):
        raise NotAllowed(
            "You may not set up watched folders: their imports compare every column, and you do not see all of them. "
            "Let somebody do it who does."
        )


def _columns(session: Session, clean: Watching) -> dict[str, Any]:
    person = accounts.by_email(session, clean.mail_to) if clean.mail_to else None
    given = asdict(clean)
    cron = given.pop("schedule")
    return given | {"cron": cron, "mail_to": person.id if person else None}


def _read(session: Session) -> list[Folder]:
    from models.watched_files import WatchedFile

    kept, mapped, told = WatchedFolder, RememberedMapping, users.User.__table__.alias()
    number = select(func.count()).where(WatchedFile.folder_id == kept.id).correlate(kept).scalar_subquery()
    wanted = (
        select(kept, User.name, mapped.name, mapped.file_name, told.c.email, number)
        .outerjoin(User, User.id == kept.owner_id)
        .outerjoin(mapped, mapped.id == kept.mapping_id)
        .outerjoin(told, told.c.id == kept.mail_to)
        .where(kept.removed_at.is_(None))
        .order_by(func.lower(kept.name))
    )
    return [
        Folder(
            one.id, _wanted(one, email), one.is_active, owner, named or file_name, one.next_look, one.looked_at,
            one.error, files,
        )
        for one, owner, named, file_name, email, files in session.execute(wanted)
    ]  # fmt: skip


def _wanted(one: WatchedFolder, email: str | None) -> Watching:
    return Watching(
        one.name, one.address, one.cron, one.pattern, one.time_zone, one.mapping_id, one.rules, one.commits, email
    )


def moment(session: Session) -> datetime:
    """The database's clock."""
    now: datetime = session.scalars(select(func.clock_timestamp())).one()
    return now


def _subject(found: WatchedFolder) -> str:
    return f"watched folder {found.name}"


def _one_name(name: str) -> AbstractContextManager[None]:
    return named_once({"watched_folders_name": f"A watched folder is called “{name}” already: choose another name."})
