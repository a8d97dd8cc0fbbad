"""What of ended imports goes after its time: the rows that did not come in, and the uploaded files.

An import whose undo can still be undone loses nothing by that: undo and its undo read the history of contacts.
"""

import logging
import shutil
from datetime import timedelta

from sqlalchemy import ColumnElement, Table, delete, func, select

from models import audit, import_files, import_parts, imports, stored_files
from models.audit import Event
from models.batches import ROWS, some_of
from models.database import by_id, reading, writing
from models.imports import Import, ImportReject, State
from models.permissions import OPERATOR

ENDED = (State.COMMITTED, State.UNDONE, State.FAILED, State.CANCELLED)

log = logging.getLogger(__name__)


def expire_rejects(older_than_days: int) -> int:
    """Delete the rows that did not come in of imports that ended longer ago; how many. Numbers and reasons stay."""
    total = 0
    for import_id in _old(older_than_days, Import.rejects_expired_at.is_(None)):
        while number := _expire_rejects(import_id):
            total += number
    return total


def expire_uploads(older_than_days: int) -> int:
    """Delete the files of imports that ended longer ago, where they are below this home or in the shared store; how
    many."""
    total = 0
    for import_id in _old(older_than_days, Import.file_expired_at.is_(None), Import.file_path != ""):
        folder = imports.folder(import_id) / "upload"
        with writing(OPERATOR) as session:
            found = by_id(session, Import, import_id, locked=True)
            assert found is not None
            is_shared = import_files.is_shared(found)
            if not is_shared and not folder.is_dir():
                continue  # on another machine, or gone
            found.file_expired_at = func.clock_timestamp()
            audit.write(session, Event.UPLOAD_EXPIRED, f"import {import_id}", by=OPERATOR, file=found.file_name)
            session.flush()
            # At last, so that no line is missing of a file that is; one that stays after all is tried again.
            if is_shared:
                import_parts.forget(session, import_id)
                stored_files.clear(stored_files.IMPORTS, import_id, found.file_path)
            else:
                shutil.rmtree(folder)
        total += 1
    return total


def _expire_rejects(import_id: int) -> int:
    """A batch; the last one, which leaves none, is noted with the import."""
    table = ImportReject.__table__
    assert isinstance(table, Table)
    with writing(OPERATOR) as session:
        wanted = some_of(table, ImportReject.import_id == import_id, ROWS)
        number = session.connection().execute(delete(table).where(wanted)).rowcount
        if number < ROWS:
            found = by_id(session, Import, import_id, locked=True)
            assert found is not None
            found.rejects_expired_at = func.clock_timestamp()
        if number:
            audit.write(session, Event.REJECTS_EXPIRED, f"import {import_id}", by=OPERATOR, rows=number)
        return number


def _old(days: int, *more: ColumnElement[bool]) -> list[int]:
    ended = func.coalesce(Import.finished_at, Import.wanted_at, Import.created_at)
    before = func.now() - timedelta(days=days)
    wanted = select(Import.id).where(Import.state.in_(ENDED), ended < before, *more)
    with reading() as session:
        return list(session.scalars(wanted.order_by(Import.id)))
