"""Watched folders: each file once by its content, over a folder and over an S3 that speaks HTTP, also with SIGKILLs."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from models import (
    file_store,
    flow_runs,
    import_drafts,
    imports,
    mails,
    mappings,
    settings,
    users,
    watched_files,
    watched_folders,
    watched_looks,
)
from models.database import WATCHING_LOCK, claimed
from models.errors import Conflict, InvalidInput, NotAllowed, NotFound, Unavailable
from models.import_acceptances import NotAccepted
from models.imports import Import, State
from models.permissions import OPERATOR, Actor, Role
from models.watched_files import Seen, Sight
from models.watched_folders import Watching
from pipelines import import_contacts, watch_folders
from pipelines import import_orders as orders
from pipelines.watch_folders import Looked
from tests.people import person
from tests.pipelines import s3
from tests.pipelines.importing import contacts, sql

ROOT = Path(__file__).parents[2]
ANN, BOB = "Name,Email\nAnn,ann@x.example\n", "Name,Email\nBob,bob@x.example\n"
LONG_AGO = time.time() - 3600


@dataclass
class Place:
    """A place that others write to; `old` files were written long ago, where the place can be told so."""

    address: str
    write: Callable[..., Any]
    remove: Callable[[str], Any]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3.serving() as address:
        s3.client(address).create_bucket(Bucket=s3.BUCKET)
        yield address


@pytest.fixture
def root(base: str) -> Actor:
    return person(email="root@example.com", name="Root", role=Role.ADMIN).actor()


@pytest.fixture
def incoming(base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A folder of the server that administrators may let be watched."""
    folder = tmp_path / "incoming"
    folder.mkdir()
    monkeypatch.setenv("APPOINTMENT360_WATCH_ROOTS", str(tmp_path))
    settings.settings.cache_clear()

    def write(name: str, text: str, *, old: bool = True) -> None:
        (folder / name).write_text(text)
        if old:
            os.utime(folder / name, (LONG_AGO, LONG_AGO))

    yield Place(str(folder), write, lambda name: (folder / name).unlink())
    settings.settings.cache_clear()


@pytest.fixture
def bucket(base: str, endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    s3.use(endpoint, monkeypatch)
    client, prefix = s3.client(endpoint), tmp_path.name
    yield Place(
        f"s3://{s3.BUCKET}/{prefix}",
        lambda name, text, old=True: client.put_object(Bucket=s3.BUCKET, Key=f"{prefix}/{name}", Body=text.encode()),
        lambda name: client.delete_object(Bucket=s3.BUCKET, Key=f"{prefix}/{name}"),
    )
    settings.settings.cache_clear()


def watched(place: Place, by: Actor, **how: Any) -> int:
    wanted = Watching("Leads", place.address, "* * * * *", mail_to="root@example.com")
    return watched_folders.add(replace(wanted, **how), by=by)


def look(folder_id: int) -> Looked:
    looked = watch_folders.look(folder_id)
    assert looked is not None
    assert looked.error is None, looked.error
    return looked


def carried_out(import_id: int) -> Import:
    orders.carry_out(import_id, imports.get(import_id, by=OPERATOR).orders)
    return imports.get(import_id, by=OPERATOR)


def seen(folder_id: int) -> list[Seen]:
    return watched_files.of_folder(folder_id, by=OPERATOR)


def told() -> list[tuple[str, dict[str, Any]]]:
    watched_files.tell_outcomes()
    found = sql("SELECT kind, details FROM mails ORDER BY id")
    return [(kind, details) for kind, details in found if kind.startswith(("file", "folder"))]


def test_a_new_file_is_planned_once_whatever_becomes_of_its_name(incoming: Place, root: Actor) -> None:
    folder = watched(incoming, root)
    incoming.write("a.csv", ANN)
    incoming.write("notes.txt", "not ours")
    watched_folders.change(folder, replace(watched_folders.get(folder, by=root).watching, pattern="*.CSV"), by=root)
    [import_id] = look(folder).imports
    made = imports.get(import_id, by=OPERATOR)
    assert (made.file_name, made.created_by, made.wanted, made.recall) == (
        "a.csv", root.id, State.OPENED, {"mapping_id": None, "fixed": []},
    )  # fmt: skip
    assert Path(made.file_path).read_text() == ANN
    planned = carried_out(import_id)
    assert (planned.state, planned.created, planned.wanted) == (State.PLANNED, 1, None)
    assert contacts() == []

    assert look(folder) == Looked([], known=1)
    incoming.write("b.csv", ANN)  # the same content under another name
    incoming.write("a.csv", ANN, old=False)  # touched
    os.utime(Path(incoming.address) / "a.csv", (LONG_AGO + 60, LONG_AGO + 60))
    assert look(folder) == Looked([], known=2)
    incoming.write("a.csv", BOB)  # another content under the old name
    assert len(look(folder).imports) == 1
    assert sql("SELECT count(*) FROM imports") == [(2,)]


def test_an_s3_prefix_is_watched_the_same_way(bucket: Place, root: Actor) -> None:
    folder = watched(bucket, root)
    bucket.write("a.csv", ANN)
    assert look(folder) == Looked([], growing=1)
    bucket.write("a.csv", ANN + "Cid,cid@x.example\n")
    assert look(folder) == Looked([], growing=1)
    [import_id] = look(folder).imports
    assert Path(imports.get(import_id, by=OPERATOR).file_path).read_text() == ANN + "Cid,cid@x.example\n"
    bucket.remove("a.csv")
    bucket.write("renamed.csv", ANN + "Cid,cid@x.example\n")
    assert look(folder) == Looked([], growing=1)
    assert look(folder) == Looked([], known=1)


def test_a_file_that_still_grows_is_left_for_the_next_look(incoming: Place, root: Actor) -> None:
    folder = watched(incoming, root)
    incoming.write("a.csv", "Name,Em", old=False)
    assert look(folder) == Looked([], growing=1)
    incoming.write("a.csv", ANN, old=False)
    assert look(folder) == Looked([], growing=1)
    assert len(look(folder).imports) == 1


def test_the_mapping_of_a_watched_folder_is_not_forgotten(incoming: Place, root: Actor) -> None:
    incoming.write("a.csv", ANN)
    made = carried_out(look(watched(incoming, root, name="a")).imports[0])
    kept = mappings.save(made.id, import_drafts.stored(made), "CRM", by=root)
    folder = watched(incoming, root, mapping_id=kept)
    with pytest.raises(Conflict, match="The watched folder “Leads” maps its files by it"):
        mappings.remove(kept, by=root)
    watched_folders.remove(folder, by=root)
    mappings.remove(kept, by=root)


def test_one_that_commits_by_itself_does_so_where_its_columns_are_known(incoming: Place, root: Actor) -> None:
    folder = watched(incoming, root, commits=True)
    incoming.write("first.csv", ANN)
    first = carried_out(look(folder).imports[0])
    assert (first.state, first.wanted) == (State.OPENED, None)
    assert [one.outcome for one in seen(folder)] == ["waits for you"]
    [(kind, details)] = told()
    assert (kind, details["why"], details["import_id"]) == (
        "file waits", "its columns are to be looked at.", first.id,
    )  # fmt: skip
    import_contacts.run(first.id, by=root)
    incoming.write("second.csv", BOB.replace("Name,Email", "NAME,E-Mail"))
    second = carried_out(look(folder).imports[0])
    assert (second.state, second.created) == (State.COMMITTED, 1)
    kind, details = told()[-1]
    assert (kind, details["file"], details["numbers"]) == (
        "file imported", "second.csv",
        "1 row, 1 created, 0 updated, 0 unchanged, 0 duplicates, 0 rejected.",
    )  # fmt: skip
    incoming.write("third.csv", "Name,Email,Land\nCid,cid@x.example,DE\n")
    assert carried_out(look(folder).imports[0]).state == State.OPENED, "a new column is looked at"
    assert [one.outcome for one in seen(folder)] == ["waits for you", "imported", "imported"]
    assert len(told()) == 3
    assert told() == told(), "each is told once"


def test_what_stands_out_stops_one_that_commits_by_itself_and_is_told(incoming: Place, root: Actor) -> None:
    by_itself, by_hand = [
        watched(incoming, root, name=name, pattern=f"{name}*", commits=name == "a") for name in ("a", "b")
    ]
    incoming.write("a known.csv", "Name,Email,# Employees\nAnn,ann@x.example,5\n")
    import_contacts.run(look(by_itself).imports[0], by=root)
    wrong = "Name,Email,# Employees\n" + "".join(f"Ann{n},ann{n}@x.example,5551234567\n" for n in range(40))
    incoming.write("a wrong.csv", wrong)
    incoming.write("b wrong.csv", wrong)
    with pytest.raises(NotAccepted):
        carried_out(look(by_itself).imports[0])
    assert carried_out(look(by_hand).imports[0]).state == State.PLANNED
    assert [one.outcome for one in seen(by_itself)] == ["waits for you", "imported"]
    waits = {details["file"]: details["why"] for kind, details in told() if kind == "file waits"}
    assert waits["a wrong.csv"].startswith("its plan is made, and one thing stands out about import 2. 40 rows break")
    assert waits["b wrong.csv"].startswith("its plan is made, and one thing stands out about import 3. 40 rows break")


def test_nobody_is_told_what_stands_out_in_a_column_that_is_hidden_from_them(incoming: Place, root: Actor) -> None:
    part = person(
        email="part@example.com", name="Part", role=Role.MANAGER, column_allowed=("last_name", "email")
    ).actor()
    folder = watched(incoming, root, commits=True, mail_to="part@example.com")
    incoming.write("known.csv", "Name,Email,# Employees\nAnn,ann@x.example,5\n")
    import_contacts.run(look(folder).imports[0], by=root)
    wrong = "".join(f"Ann{n},ann{n}@x.example,5551234567\n" for n in range(40))
    incoming.write("wrong.csv", "Name,Email,# Employees\n" + wrong)
    with pytest.raises(NotAccepted, match="Employees is between"):
        carried_out(look(folder).imports[0])
    general = "one thing stands out about import 2. Look at what stands out, then accept it with a reason"
    [run] = flow_runs.page(flow="import-contacts", state=flow_runs.RunState.FAILED, by=OPERATOR)
    [waits] = [details["why"] for kind, details in told() if kind == "file waits"]
    shown = imports.get(2, by=part).error, watched_files.of_folder(folder, by=part)[0].error, run.error, waits
    for sentence in shown:
        assert sentence
        assert general in sentence
        assert "mployees" not in sentence


def test_its_own_mapping_and_rules_are_taken(incoming: Place, root: Actor) -> None:
    folder = watched(incoming, root)
    incoming.write("first.csv", ANN)
    first = carried_out(look(folder).imports[0])
    chosen = replace(import_drafts.stored(first), columns={"Email": "email"})
    mapping = mappings.save(first.id, chosen, "Mails only", by=root)
    wanted = watched_folders.get(folder, by=root).watching
    watched_folders.change(
        folder, replace(wanted, mapping_id=mapping, rules={"keep": "ours"}, commits=True), by=root
    )  # fmt: skip
    incoming.write("second.csv", BOB)
    second = carried_out(look(folder).imports[0])
    assert (second.state, second.mapping, second.keep) == (State.COMMITTED, {"email": "Email"}, "ours")


def test_a_file_that_fails_is_told_once_and_tried_again_only_when_somebody_says_so(
    incoming: Place, root: Actor
) -> None:
    folder = watched(incoming, root)
    incoming.write("empty.csv", "")
    [import_id] = look(folder).imports
    with pytest.raises(import_contacts.UnreadableFile):
        carried_out(import_id)
    [one] = seen(folder)
    assert (one.outcome, one.import_id) == ("failed", import_id)
    assert one.error
    assert [(kind, details["error"]) for kind, details in told()] == [("file failed", one.error)]
    assert look(folder) == Looked([], known=1)
    watched_files.try_again(one.id, by=root)
    assert [one.outcome for one in seen(folder)] == ["to be tried again"]
    [again] = look(folder).imports
    assert again != import_id
    with pytest.raises(Conflict, match="is on its way"):
        watched_files.try_again(one.id, by=root)
    assert look(folder) == Looked([], known=1)
    incoming.write("empty.csv", ANN)
    assert len(look(folder).imports) == 1


def test_a_file_that_may_not_be_read_is_told_once_for_each_version(
    incoming: Place, root: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = watched(incoming, root)
    incoming.write("a\\b.csv", ANN)  # no name for a file elsewhere
    assert look(folder) == Looked([], failed=1)
    assert look(folder) == Looked([], known=1)
    assert [(one.outcome, one.import_id) for one in seen(folder)] == [("failed", None)]
    assert [kind for kind, _ in told()] == ["file failed"]
    watched_files.try_again(seen(folder)[0].id, by=root)
    assert look(folder) == Looked([], failed=1)
    assert [kind for kind, _ in told()] == ["file failed"] * 2


def test_one_file_that_cannot_be_read_just_now_keeps_no_other_from_its_turn(
    incoming: Place, root: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = watched(incoming, root)
    for name in "abcde":
        incoming.write(f"{name}.csv", ANN.replace("Ann", name))
    broken = ["a.csv"]
    fetch = file_store.Folder.fetch

    def failing(self: file_store.Folder, name: str, to: Path) -> file_store.Fetched:
        if name in broken:
            raise Unavailable(f"{name} could not be read: Input/output error.")
        return fetch(self, name, to)

    monkeypatch.setattr(file_store.Folder, "fetch", failing)
    looked = watch_folders.look(folder)
    assert looked is not None
    assert (len(looked.imports), looked.unread, looked.error) == (4, 1, "a.csv could not be read: Input/output error.")
    broken.clear()
    assert len(look(folder).imports) == 1, "it is tried again"


def test_a_place_that_cannot_be_read_is_told_when_it_begins(incoming: Place, root: Actor) -> None:
    folder = watched(incoming, root)
    Path(incoming.address).rmdir()
    for _ in range(2):
        looked = watch_folders.look(folder)
        assert looked
        assert "There is no folder" in (looked.error or "")
    found = watched_folders.get(folder, by=root)
    assert found.error == looked.error
    assert found.looked_at
    assert [kind for kind, _ in told()] == ["folder trouble"]
    Path(incoming.address).mkdir()
    look(folder)
    assert watched_folders.get(folder, by=root).error is None


def test_it_has_the_rights_of_who_set_it_up(incoming: Place, root: Actor, tmp_path: Path) -> None:
    folder = watched(incoming, root)
    incoming.write("a.csv", ANN)
    other = person(email="other@example.com", name="Other", role=Role.ADMIN).actor()
    users.deactivate("root@example.com", by=other)
    looked = watch_folders.look(folder)
    assert looked
    assert looked.error == "The watching of “Leads” was asked for by an account that is closed."
    users.reactivate("root@example.com", by=other)
    users.change("root@example.com", users.Changes(role=Role.MANAGER), by=other)
    looked = watch_folders.look(folder)
    assert looked
    assert looked.error == "You may not set up watched folders: that needs the role admin."
    assert sql("SELECT count(*) FROM imports") == [(0,)]


def test_of_the_servers_folders_only_some_may_be_watched(
    incoming: Place, root: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for address in ("/etc", str(tmp_path) + "-other", "/"):
        with pytest.raises(InvalidInput, match="may not be watched"):
            watched(replace(incoming, address=address), root)
    (tmp_path / "way out").symlink_to("/etc")
    with pytest.raises(InvalidInput, match="may not be watched"):
        watched(replace(incoming, address=str(tmp_path / "way out")), root)
    manager = person(email="m@example.com", name="M", role=Role.MANAGER).actor()
    with pytest.raises(NotAllowed):
        watched(incoming, manager)
    folder = watched(incoming, root)
    # A folder that becomes a way out later is not followed either.
    Path(incoming.address).rmdir()
    Path(incoming.address).symlink_to("/etc")
    looked = watch_folders.look(folder)
    assert looked
    assert "may not be watched" in (looked.error or "")
    watched_folders.remove(folder, by=root)
    assert watched(replace(incoming, address="/etc"), OPERATOR), "whoever runs the machine may"


def test_what_is_due_is_looked_at_by_its_schedule(incoming: Place, root: Actor) -> None:
    folder = watched(incoming, root, schedule="0 6 * * *", time_zone="Europe/Berlin")
    assert watched_looks.due() == [folder], "the first look comes at once"
    with claimed(WATCHING_LOCK, folder):
        assert watched_looks.due() == []
        assert watch_folders.look(folder) is None
    look(folder)
    assert watched_looks.due() == []
    found = watched_folders.get(folder, by=root)
    assert found.schedule == "At 06:00 every day, Europe/Berlin"
    assert found.next_look.astimezone(ZoneInfo("Europe/Berlin")).hour == 6
    watched_folders.look_soon(folder, by=root)
    assert watched_looks.due() == [folder]
    watched_folders.activate(folder, False, by=root)
    assert watched_looks.due() == []
    with pytest.raises(Conflict, match="is paused"):
        watched_folders.look_soon(folder, by=root)
    watched_folders.remove(folder, by=root)
    with pytest.raises(NotFound):
        watch_folders.look(folder)


def test_looks_that_always_die_end(incoming: Place, root: Actor) -> None:
    folder = watched(incoming, root)
    sql("UPDATE watched_folders SET tries = 3")
    looked = watch_folders.look(folder)
    assert looked
    assert looked.error == "The last 3 looks were interrupted, each time their process died."
    look(folder)


def test_the_mails_say_what_is_to_be_known(incoming: Place, root: Actor, home: Path) -> None:
    folder = watched(incoming, root)
    incoming.write("a.csv", ANN)
    carried_out(look(folder).imports[0])
    watched_files.tell_outcomes()
    mails.deliver()
    [path] = [one for one in mails.outbox().glob("*file-waits.eml") if "a.csv waits" in one.read_text()]
    text = path.read_text()
    assert "Subject: a.csv waits for you" in text
    assert "1 row, 1 created" in text
    assert "/imports?id=1" in text.replace("=3D", "=")
    assert look(folder) == Looked([], known=1)
    watched_files.tell_outcomes()
    assert mails.deliver() == 0, "nothing new, no mail"
    path.unlink()


def test_of_two_that_take_the_same_content_at_once_one_does(incoming: Place, root: Actor, tmp_path: Path) -> None:
    folder = watched(incoming, root)
    found, by = watched_looks.begin(folder)
    both = threading.Barrier(2)
    sight = Sight("a.csv", 1, datetime.now(UTC), "1")

    def take(_: int) -> int | None:
        both.wait()
        return watched_files.take(found, sight, "0" * 64, lambda number, name: tmp_path / f"{number} {name}", by=by)

    with ThreadPoolExecutor(2) as threads:
        made = list(threads.map(take, range(2)))
    assert sorted(one is None for one in made) == [False, True]
    assert sql("SELECT count(*) FROM imports") == [(1,)]


# Who kills a child still finds it: it is waited for only when that is said.
FORKING = """
import os, sys
from models import database
from pipelines import watch_folders
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        database.bind(os.environ["DATABASE_URL"])
        watch_folders.look(int(line))
        os._exit(0)
    print(child, flush=True)
    sys.stdin.readline()
    os.waitpid(child, 0)
    print("over", flush=True)
"""


@dataclass
class Forker:
    """A process that has everything loaded, and looks in children of its own."""

    process: "subprocess.Popen[str]"

    def say(self, line: object) -> str:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()


@pytest.fixture
def forkers(base: str, home: Path) -> Iterator[list[Forker]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DATABASE_URL": base}
    command, pipe = [sys.executable, "-c", FORKING], subprocess.PIPE
    started = [subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
    yield [Forker(one) for one in started]
    for one in started:
        with one:
            pass  # closes its pipes, which ends it


def test_each_file_is_imported_once_though_every_look_is_killed(
    incoming: Place, root: Actor, home: Path, forkers: list[Forker]
) -> None:
    """SIGKILL at random moments (seeded), two looks begun at once each time; the last one comes to its end."""
    chance = random.Random(360)
    folder = watched(incoming, root)
    long = [chance.randrange(200_000) for _ in range(25)]
    contents = [f"Name,Email\nP{number},p@x.example\n" + "#" * more for number, more in enumerate(long)]
    for number, text in enumerate(contents):
        incoming.write(f"{number:02}.csv", text)
        incoming.write(f"copy of {number:02}.csv", text)
    for _ in range(30):
        sql("UPDATE watched_folders SET tries = 0")
        children = [int(forker.say(folder)) for forker in forkers]
        time.sleep(chance.uniform(0.02, 0.25))
        for child in children:
            os.kill(child, signal.SIGKILL)
        for forker in forkers:
            forker.say("wait for it")
        taken = sql("SELECT count(*) FROM imports")[0][0]
        assert all_stored() == taken
        if taken > 20:
            break
    sql("UPDATE watched_folders SET tries = 0")
    deadline = time.monotonic() + 30
    while watch_folders.look(folder) is None:  # the server notices in a moment that the last process is gone
        assert time.monotonic() < deadline
    found = sql(
        "SELECT i.id, i.file_path, i.wanted, f.content FROM imports i JOIN watched_files f ON f.import_id = i.id"
    )
    assert sorted(Path(path).read_text() for _, path, _, _ in found) == sorted(contents)
    for import_id, path, wanted, content in found:
        assert content == f"sha256:{hashlib.sha256(Path(path).read_bytes()).hexdigest()}"
        assert (wanted, Path(path).parent.parent.name) == (State.OPENED, str(import_id))
    assert sql("SELECT count(*) FROM imports") == [(25,)]
    assert {one.name for one in (home / "imports").iterdir()} == {str(one) for one, _, _, _ in found}
    assert list((home / "watched" / str(folder)).iterdir()) == []


def all_stored() -> int:
    """The imports whose file is where it should be."""
    return sum(Path(path).is_file() for (path,) in sql("SELECT file_path FROM imports"))
