"""This process's columnar mirror of contacts: kept in a file of its own, and exact at every answer.

It is filled once, from one snapshot, while the database answers; then it follows the change feed (feed.py). Whoever
asks takes a snapshot of the database first. Where the mirror is of that very one, or is brought to it, which after an
edit takes some milliseconds, it answers; what the answer needs beside, as the rows of a page, is read of the same
snapshot. Where much changed, the database answers until the mirror has come after it by itself.

The file is of one process, which holds it open, and of one server's database: another one's, one that is broken, or of
another version of this program is made anew. What a killed process left is whole: DuckDB writes a log before it.
"""

import logging
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import duckdb
import psycopg
from sqlalchemy import text
from sqlalchemy.orm import Session

from models import disk_space, kept, kernel_locks
from models.contacts import columnar, feed, mirror_files, mirror_source, own_mirror
from models.contacts.columnar import Columnar, State
from models.contacts.dictionaries import Dictionaries
from models.contacts.own_mirror import Failed, Overtaken, Phase, Progress, Standing
from models.database import Database, reading
from models.disk_space import NoRoom
from models.errors import AppError, TooSlow
from models.kept import Moment

AT_ONCE = 20_000  # contacts that whoever asks waits for; more are brought in beside
REBUILT = 1_000_000  # changed contacts from which on all are read again: one transaction takes 1 KB of memory for each
EVERY = 1.0  # seconds after which it looks though nobody told it
STALE = 86_400.0  # seconds after which the file has nothing of what was deleted or replaced
ABANDONED = feed.KEPT.total_seconds()  # seconds without a change, after which the feed does not reach back to it
EACH = 300  # bytes of a contact in the file, where much is filled in: ten million of the bench's take some 3 GB
AGAIN = 10.0  # seconds after which it begins anew what failed; twice as long each further time, up to LONGEST
LONGEST = 600.0
NOTED = 3600.0  # seconds after which it notes again where it is, though nothing moved: the feed is not kept for ever
ENDS_WITHIN = 10.0  # seconds; the supervisors kill after 40
REPEATED = 0.1  # seconds after which it is interrupted again: in between two statements nobody hears it
PATIENT = 0.5  # seconds for who is bringing changes in, after which the database answers
OTHER_CAPITALS = "The database writes capitals small in a way of its own: it answers everything itself."
_SUM = "SELECT count(*), coalesce(sum(id), 0) FROM contacts"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class View:
    """The mirror as of the session's snapshot."""

    session: Session
    moment: Moment  # of that snapshot
    file: Columnar
    cursor: duckdb.DuckDBPyConnection
    failed: Callable[[duckdb.Error], None]  # told of it, the mirror lets go of a file that is broken

    @contextmanager
    def asked(self) -> Iterator[None]:
        """While this lasts, it is. What takes longer than people wait is stopped. Raises TooSlow, Failed."""
        patience = Database.patience
        try:
            with _interrupted_after(patience, self.cursor):
                yield
        except duckdb.InterruptException as error:
            raise TooSlow(seconds=patience or 0) from error
        except duckdb.Error as error:
            log.error("the mirror of contacts fails at a question, the database answers: %s", _told(error))
            self.failed(error)
            raise Failed from error

    @cached_property
    def dictionaries(self) -> Dictionaries:
        return Dictionaries(self.cursor, self.file.last)

    def close(self) -> None:
        self.file.given_back(self.cursor)


class Mirror:
    def __init__(self, folder: Path, *, threads: int, memory: str) -> None:
        self.folder, self.threads, self.memory = folder, threads, memory
        self.progress = Progress(Phase.WAITING)
        self._file: Columnar | None = None
        self._loading: Columnar | None = None  # one that is not whole yet
        self._asking: psycopg.Connection[Any] | None = None  # by which its round reads
        self._seen: float | None = None  # when it was last found to have every change, by the monotonic clock
        self._is_proven = False  # whether the file was found to have all contacts, since it was opened
        self._lock = threading.Lock()  # of who writes
        self._not_coded: dict[str, int] = {}  # columns that outgrew a dictionary, and how many contacts there were then
        self._noted = 0.0  # when it noted where it is, by the monotonic clock
        self._failed = 0  # rounds since one came to its end
        self._told, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="mirror of contacts", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._told.set()
        end = time.monotonic() + ENDS_WITHIN
        while self._thread.is_alive() and time.monotonic() < end:
            for file in (self._file, self._loading):
                if file is not None:
                    file.interrupt()
            if (asking := self._asking) is not None:
                with suppress(psycopg.Error):  # it is closed in this moment
                    asking.cancel_safe(timeout=1)
            self._thread.join(REPEATED)
        # Else it is as after a kill, which costs nothing but the log's replay: what is busy cannot be closed.
        if not self._thread.is_alive() and self._lock.acquire(timeout=PATIENT):
            self._let_go()
            self._lock.release()

    def tell(self) -> None:
        """Something changed: it may come after it now, before anybody asks."""
        self._told.set()

    def wait(self, seconds: float) -> bool:
        """Until it follows; whether it does."""
        end = time.monotonic() + seconds
        while self.progress.phase is not Phase.FOLLOWING and time.monotonic() < end:
            time.sleep(0.01)
        return self.progress.phase is Phase.FOLLOWING

    def has_dictionary(self, column: str) -> bool:
        file = self._file
        is_there = file is not None and self.progress.phase is Phase.FOLLOWING
        return file is not None and is_there and file.by_name[column].form is columnar.Form.CODED

    def standing(self) -> Standing:
        file, seen, progress, loading = self._file, self._seen, self.progress, self._loading
        if file is None or seen is None or progress.phase is not Phase.FOLLOWING:
            return Standing(progress, bytes=0 if loading is None else mirror_files.size(loading.path))
        contacts = None
        with suppress(duckdb.Error):  # it is let go of in this moment
            cursor = file.lent()
            try:
                [(contacts,)] = cursor.execute("SELECT count(*) FROM contacts").fetchall()
            finally:
                file.given_back(cursor)
        return Standing(progress, contacts, mirror_files.size(file.path), time.monotonic() - seen)

    def view(self, session: Session) -> View | None:
        """None where the database is to answer; else who takes it closes it. Raises Overtaken."""
        file = self._file
        if file is None or self.progress.phase is not Phase.FOLLOWING:
            return None
        wanted = kept.moment_of(session)
        try:
            cursor = self._at(file, session, wanted)
        except Overtaken:
            raise
        except duckdb.Error as error:
            if file is self._file:
                log.error("the mirror of contacts cannot be read: %s", _told(error))
                self._let_go_of(file, is_kept=_is_kept_at(error))
            return None
        except Exception as error:  # noqa: BLE001  # what changed could not be read, or not be taken in
            log.error("the mirror of contacts does not come after a change, the database answers: %s", _told(error))
            return None
        return None if cursor is None else View(session, wanted, file, cursor, partial(self._failed_at, file))

    def _failed_at(self, file: Columnar, error: duckdb.Error) -> None:
        """A question was. One that is too much for the memory or the disk says nothing of the file."""
        if columnar.is_broken(error):
            log.error("%s is damaged: it is removed, and all contacts are mirrored anew", file.path.name)
            self._let_go_of(file)
        elif isinstance(error, duckdb.FatalException):  # until it is opened again, it answers nothing
            self._let_go_of(file, is_kept=True)

    def _at(self, file: Columnar, session: Session, wanted: Moment) -> duckdb.DuckDBPyConnection | None:
        """A cursor whose transaction sees contacts as the session does."""
        cursor, shown = _begun(file)
        if _is_of(shown, wanted):
            return cursor
        file.given_back(cursor)
        if not self._lock.acquire(timeout=PATIENT):
            return None
        try:
            if file is not self._file or not self._follow(file, session, wanted, AT_ONCE):
                self._told.set()
                return None
            return _begun(file)[0]  # of now
        finally:
            self._lock.release()

    def _follow(self, file: Columnar, session: Session, wanted: Moment, most: int) -> bool:
        """Bring the file to the session's snapshot, where that takes no more than `most` contacts; whether it is there.
        Under the lock. Raises Overtaken."""
        with file.cursor() as cursor:
            shown = columnar.state(cursor)
        if _is_of(shown, wanted):
            if time.monotonic() - self._noted > NOTED:
                file.note(State(shown.server, feed.place(session), shown.moves, shown.began))
                self._noted = time.monotonic()
            return True
        if shown.began == _began(wanted) and shown.moves > wanted.moves:
            raise Overtaken
        if shown.began != _began(wanted) and not _goes_on(session, shown):
            return False
        written = feed.written_since(session, shown.place)
        if written is None or written.number > most or written.number > max(AT_ONCE, file.number()):
            return False
        state = State(shown.server, feed.place(session), wanted.moves, _began(wanted))
        ranges, left = mirror_source.ranges(session, written), mirror_source.those(session, written, file)
        file.put(ranges, left, state, mirror_source.folds(session))
        self._noted = time.monotonic()
        return True

    def _work(self) -> None:
        while not self._stopped.is_set():
            try:
                self._round()
                self._renew()
                self._failed = 0
            except Exception as error:  # noqa: BLE001  # the thread must outlive whatever one round meets
                if self._stopped.is_set():  # it was interrupted
                    return
                self._fail(error)
            self._told.wait(EVERY)
            self._told.clear()

    def _fail(self, error: Exception) -> None:
        if isinstance(error, AppError):
            log.warning("the mirror of contacts does not follow: %s", error)
            fault = error.sentence
        else:
            log.error("the mirror of contacts does not follow, the database answers: %s", _told(error))
            fault = f"{type(error).__name__}, of which the log tells."
        self.progress = Progress(Phase.WAITING if self._file is None else self.progress.phase, fault=fault)
        self._stopped.wait(min(LONGEST, AGAIN * 2 ** min(self._failed, 6)))
        self._failed += 1

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        with reading() as session:
            self._asking = session.connection().connection.driver_connection
            try:
                yield session
            finally:
                self._asking = None

    def _round(self) -> None:
        began = time.monotonic()
        with self._reading() as session:
            session.execute(text("SET LOCAL statement_timeout = 0"))
            session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))  # while another connection reads
            if not mirror_source.has_usual_capitals(session):
                log.warning("contacts are not mirrored: %s", OTHER_CAPITALS)
                self.progress = Progress(Phase.OFF, fault=OTHER_CAPITALS)
                self._stopped.set()
                mirror_files.clear(self.folder)
                return
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.chmod(0o700)  # it holds contacts in clear
            moment = kept.moment_of(session)
            if self._file is not None and not self._file.path.exists():
                log.warning("the file of the mirror of contacts was removed: all are mirrored anew")
                self._let_go_of(self._file)
            file = self._file or self._reopened(session)
            if file is None:
                self._load(session, moment)
                return
            try:
                is_there = self._is_brought_to(file, session, moment)
            except duckdb.Error as error:
                self._let_go_of(file, is_kept=_is_kept_at(error))
                raise
            if is_there:
                self._seen, self.progress = began, Progress(Phase.FOLLOWING)
            else:
                log.info("so much changed that all contacts are mirrored anew")
                self._let_go_of(file)
                self._load(session, moment)

    def _renew(self) -> None:
        """Leave nothing in the file for longer than STALE that the database no longer has."""
        file = self._file
        self._clear_abandoned()
        if file is None or file.stale_since is None or time.time() - file.stale_since < STALE:
            return
        path = self.folder / f"{uuid.uuid4().hex}.duckdb"
        try:
            disk_space.require(self.folder, mirror_files.size(file.path), "a new file of the mirror of contacts")
            with ExitStack() as choosing:
                with file.copied(path):
                    choosing.enter_context(kernel_locks.alone_in(self.folder))
                fresh = columnar.reopened(path, threads=self.threads, memory=self.memory)
        except (OSError, NoRoom, duckdb.Error) as error:
            if self._stopped.is_set():
                mirror_files.remove(path)
                return
            log.warning("the mirror of contacts cannot be copied, and is read anew: %s", _told(error))
            fresh = None
        with self._lock:
            if fresh is not None and file is self._file:
                fresh.is_bytewise = file.is_bytewise
                self._file = fresh
                file.retire()
                mirror_files.remove(file.path)
                return
        if fresh is not None:
            fresh.close()
        mirror_files.remove(path)
        self._let_go_of(file)

    def _clear_abandoned(self) -> None:
        """Those whose process ended so long ago that nobody can go on with them."""
        with kernel_locks.alone_in(self.folder):
            for path in self.folder.glob(mirror_files.FILES):
                mine = self._file is not None and path == self._file.path
                if not mine and mirror_files.age(path) > ABANDONED and not mirror_files.is_in_use(path):
                    mirror_files.remove(path)

    def _is_brought_to(self, file: Columnar, session: Session, moment: Moment) -> bool:
        with self._lock:
            try:
                is_there = file is not self._file or self._follow(file, session, moment, REBUILT)
            except Overtaken:
                with file.cursor() as cursor:
                    is_there = _goes_on(session, columnar.state(cursor))
            if is_there and not self._is_proven:
                is_there = self._is_proven = self._is_whole(file, session)
            if is_there and file is self._file and (outgrown := mirror_source.outgrown(file)):
                self._not_coded |= {name: file.number() for name, is_worth_it in outgrown.items() if not is_worth_it}
                is_there = False
        return is_there

    def _reopened(self, session: Session) -> Columnar | None:
        """What was left by a process before, where it is of this database and the server was not put back since. What
        is of no use is removed."""
        with kernel_locks.alone_in(self.folder):
            for path in sorted(self.folder.glob(mirror_files.FILES)):
                if mirror_files.is_in_use(path):
                    continue
                file = columnar.reopened(path, threads=self.threads, memory=self.memory)
                if file is not None:
                    with file.cursor() as cursor:
                        shown = columnar.state(cursor)
                    if _goes_on(session, shown):
                        self._take(file, session, is_proven=False)
                        return file
                    file.close()
                mirror_files.remove(path)
        return None

    def _take(self, file: Columnar, session: Session, *, is_proven: bool) -> None:
        file.is_bytewise = mirror_source.is_bytewise(session)
        self._file, self._is_proven = file, is_proven

    def _is_whole(self, file: Columnar, session: Session) -> bool:
        """Whether it has the contacts that the session's snapshot has, which it is of."""
        with file.cursor() as cursor:
            mine = cursor.execute(_SUM).fetchall()
        return [tuple(map(int, row)) for row in mine] == [tuple(map(int, row)) for row in session.execute(text(_SUM))]

    def _load(self, session: Session, moment: Moment) -> None:
        total = mirror_source.number(session)
        but = [name for name, contacts in self._not_coded.items() if total < mirror_source.GROWN * contacts]
        self.progress = Progress(Phase.LOADING, 0, total)
        began = time.monotonic()
        state = State(feed.server(session), feed.place(session), moment.moves, _began(moment))
        disk_space.require(self.folder, total * EACH, "the mirror of contacts", then="it is made by itself")
        path = self.folder / f"{uuid.uuid4().hex}.duckdb"
        connection = columnar.opened(path, threads=self.threads, memory=self.memory)
        file = self._loading = Columnar(path, connection, columnar.columns(mirror_source.coded(session, total, but)))
        try:
            file.start_over()
            for done in file.load(mirror_source.all_contacts(session, file), state, mirror_source.folds(session)):
                self.progress = Progress(Phase.LOADING, done, max(done, total))
                if self._stopped.is_set():
                    raise InterruptedError
        except BaseException:
            file.close()
            mirror_files.remove(path)
            raise
        finally:
            self._loading = None
        self._take(file, session, is_proven=True)
        self._noted = time.monotonic()
        log.info("all contacts are mirrored, in %.1f s", time.monotonic() - began)
        self._seen, self.progress = began, Progress(Phase.FOLLOWING)

    def _let_go_of(self, file: Columnar, *, is_kept: bool = False) -> None:
        """Unless it `is_kept`, it is not to be opened again, either."""
        with self._lock:
            if self._file is file:
                self._let_go()
                if not is_kept:
                    mirror_files.remove(file.path)
        self._told.set()

    def _let_go(self) -> None:
        self.progress = Progress(Phase.WAITING)
        if self._file is not None:
            self._file.retire()
            self._file = None


@contextmanager
def held(folder: Path, *, threads: int, memory: str) -> Iterator[Mirror]:
    """While this lasts, the process has a mirror in the folder."""
    made = Mirror(folder, threads=threads, memory=memory)
    made.start()
    try:
        with own_mirror.having(made):
            yield made
    finally:
        made.stop()


def _begun(file: Columnar) -> tuple[duckdb.DuckDBPyConnection, State]:
    """A cursor whose transaction has begun, and of which snapshot it is."""
    cursor = file.lent()
    try:
        cursor.execute("BEGIN")
        return cursor, columnar.state(cursor)
    except BaseException:
        file.given_back(cursor)
        raise


@contextmanager
def _interrupted_after(patience: float | None, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Again and again until this is over: in between two statements nobody hears it."""
    ended = threading.Event()

    def interrupt() -> None:
        is_over = ended.wait(patience)
        while not is_over:
            with suppress(duckdb.Error):  # it is closed in this moment
                cursor.interrupt()
            is_over = ended.wait(REPEATED)

    if patience is not None:
        threading.Thread(target=interrupt, name="patience with the mirror of contacts", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _told(error: Exception) -> str:
    """Of which kind it is, and where it was met: what it says may hold somebody's data."""
    [*_, last] = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}"


def _is_kept_at(error: duckdb.Error) -> bool:
    """Whether the file is as good as before what failed with it."""
    return isinstance(error, duckdb.InterruptException) or columnar.is_at_limit(error)


def _goes_on(session: Session, shown: State) -> bool:
    """Whether the session's server is the one that was mirrored, and has not lost anything since: not the one that took
    its place, nor itself as it was an hour before."""
    return shown.server == feed.server(session) and not feed.is_behind(session, shown.place)


def _is_of(state: State, moment: Moment) -> bool:
    return (state.moves, state.began) == (moment.moves, _began(moment))


def _began(moment: Moment) -> str:
    """The server's start, and in what its moves are counted."""
    return f"{moment.where[2]} {moment.where[3]}"
