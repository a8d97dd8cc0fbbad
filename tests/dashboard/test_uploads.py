"""Files come in pieces, are kept as far as they came, and never lie in the web's memory."""

import csv
import io
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from sqlalchemy import insert, select, update

from dashboard.uploads import SIGNED_OUT
from models import (
    disk_space,
    import_files,
    import_kept,
    import_orders,
    import_phases,
    import_rejects,
    import_uploads,
    imports,
    settings,
    sign_ins,
    stored_files,
    upload_files,
    users,
)
from models.audit import AuditLine, Event
from models.database import reading, writing
from models.import_parts import ImportPart
from models.import_phases import Phase
from models.imports import Import, ImportReject, Keep, MatchRule, State
from models.permissions import OPERATOR, Role
from tests.dashboard.conftest import Site, _wait_for, server_command, server_environment
from tests.pipelines import nanio, s3
from tests.waiting import free_port, until

FILE = bytes(range(256)) * 400
MODIFIED = 1_700_000_000_000
HELD = "Another window is sending this file just now."


class Web:
    """A web on a fixed port that can be killed and started again."""

    def __init__(self, url: str, home: Path) -> None:
        self.port = free_port()
        self.address = f"http://localhost:{self.port}"
        self.url, self.home = url, home
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **environment: str) -> None:
        kept = server_environment(self.url, APPOINTMENT360_HOME=str(self.home), **environment)
        log = self.home / "web.log"
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [*server_command(), "--port", str(self.port)], env=kept, cwd=self.home, stderr=file
            )
        _wait_for(self.address, self.process, log)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def memory(self) -> int:
        assert self.process is not None
        return psutil.Process(self.process.pid).memory_info().rss


@contextmanager
def started(site: Site, home: Path, **environment: str) -> Iterator[Web]:
    made = Web(site.url, home)
    made.start(**environment)
    try:
        yield made
    finally:
        made.kill()


@pytest.fixture(scope="module", params=["folder", "s3"])
def home(request: pytest.FixtureRequest, site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of the webs of this module, and of this process; what arrives lies there, or in an S3."""
    folder = tmp_path_factory.mktemp("home")
    with ExitStack() as left, pytest.MonkeyPatch.context() as patch:
        left.callback(settings.settings.cache_clear)
        patch.setenv("APPOINTMENT360_HOME", str(folder))
        if request.param == "s3":
            s3.use(left.enter_context(nanio.serving(tmp_path_factory.mktemp("nanio"))), patch)
            s3.client(os.environ["APPOINTMENT360_S3_ENDPOINT"]).create_bucket(Bucket=s3.BUCKET)
            patch.setenv("APPOINTMENT360_FILES", f"s3://{s3.BUCKET}/site")
        settings.settings.cache_clear()
        yield folder
        with writing(OPERATOR) as session:  # the same files come once more
            session.execute(update(Import).values(state=State.CANCELLED, wanted=None))


def stored(import_id: int) -> bytes:
    """Its file, wherever it lies."""
    found = imports.get(import_id, by=OPERATOR)
    data = import_files.fetch(found).read_bytes()
    import_files.let_go(found)
    return data


def objects(import_id: int) -> list[str]:
    """What the S3 holds of it."""
    return [one.name for one in stored_files.place(stored_files.address("imports", import_id)).below()]


@pytest.fixture(scope="module")
def web(site: Site, home: Path) -> Iterator[Web]:
    with started(site, home) as made:
        yield made


class Sender:
    """What the browser's script does, one request at a time."""

    def __init__(self, web: Web, token: str | None) -> None:
        cookies = {"session": token} if token else {}
        self.client = httpx.Client(base_url=web.address, cookies=cookies, headers={"origin": web.address})

    def begin(self, name: str, size: int, modified: int = MODIFIED) -> httpx.Response:
        return self.client.post("/imports/uploads", json={"name": name, "size": size, "modified": modified})

    def begun(self, name: str, size: int = len(FILE), modified: int = MODIFIED) -> dict[str, Any]:
        return self.begin(name, size, modified).raise_for_status().json()

    def put(self, import_id: int, offset: int, data: Any) -> httpx.Response:
        return self.client.put(f"/imports/{import_id}/upload", params={"offset": offset}, content=data)

    def look(self, import_id: int) -> httpx.Response:
        return self.client.get(f"/imports/{import_id}/upload")

    def complete(self, import_id: int) -> httpx.Response:
        return self.client.post(f"/imports/{import_id}/upload/complete")


@pytest.fixture
def signed_in(web: Web, site: Site) -> Iterator[Callable[..., Sender]]:
    """`signed_in(Role.MANAGER)`, or with a token, or as nobody; `on` another web."""
    made: list[Sender] = []

    def sign_in(role: Role | None = None, *, token: str | None = None, on: Web = web) -> Sender:
        made.append(Sender(on, site.token(role) if role else token))
        return made[-1]

    yield sign_in
    for one in made:
        one.client.close()


@pytest.fixture
def sender(signed_in: Callable[..., Sender]) -> Sender:
    return signed_in(Role.MANAGER)


def test_a_file_in_pieces_is_the_file(sender: Sender, home: Path) -> None:
    upload = sender.begun("leads 2026.csv")
    identity = upload["import_id"]
    described = {"import_id": identity, "name": "leads 2026.csv", "size": len(FILE)}
    assert upload == described | {"offset": 0, "complete": False}
    for offset in range(0, len(FILE), 40_000):
        answer = sender.put(identity, offset, FILE[offset : offset + 40_000])
        assert answer.json() == {"offset": min(offset + 40_000, len(FILE))}
    assert sender.look(identity).json()["offset"] == len(FILE)
    first = sender.complete(identity).json()
    assert sender.complete(identity).json() == first, "a second time changes nothing"
    found = imports.get(identity, by=OPERATOR)
    assert stored(identity) == FILE
    if stored_files.are_shared():
        assert found.file_path == f"s3://{s3.BUCKET}/site/imports/{identity}"
        own = {home / "web.log", *(home / "mirror").rglob("*")}  # of the web itself
        assert [path for path in home.rglob("*") if path.is_file() and path not in own] == []
    else:
        assert Path(found.file_path) == home / "imports" / str(identity) / "upload" / "leads 2026.csv"
    assert (found.state, found.wanted, found.orders) == (State.NEW, State.OPENED, first["order"])
    assert import_phases.phase(imports.listed(identity, by=OPERATOR)) is Phase.WAITING
    assert not upload_files.part_path(identity).exists()
    assert sender.look(identity).json() == described | {"offset": len(FILE), "complete": True}


def whole(sender: Sender, name: str) -> int:
    """An upload that is complete."""
    identity = sender.begun(name)["import_id"]
    sender.put(identity, 0, FILE).raise_for_status()
    sender.complete(identity).raise_for_status()
    return int(identity)


def test_a_file_that_just_came_is_not_asked_for_again(sender: Sender, signed_in: Callable[..., Sender]) -> None:
    identity = whole(sender, "again.csv")
    assert sender.begun("again.csv") == sender.look(identity).json()
    assert sender.put(identity, 0, FILE).json() == {
        "error": f"The next piece of again.csv begins at byte {len(FILE):,}.", "offset": len(FILE)
    }  # fmt: skip
    assert sender.begun("again.csv", modified=MODIFIED + 1)["offset"] == 0
    assert signed_in(Role.ADMIN).begun("again.csv")["offset"] == 0
    with writing(OPERATOR) as session:
        session.execute(update(Import).where(Import.id == identity).values(state=State.PLANNED, wanted=None))
    assert sender.begun("again.csv")["import_id"] == identity, "it has only come further"


@pytest.mark.parametrize(
    "since", [{"wanted": State.CANCELLED}, {"state": State.COMMITTED}, {"state": State.UNDONE}, {"state": State.FAILED},
              {"error": "It was interrupted."}, {"wanted_at": datetime.now(UTC) - timedelta(hours=2)}],
)  # fmt: skip
def test_a_file_whose_import_is_over_comes_once_more(sender: Sender, since: dict[str, Any]) -> None:
    name = f"{next(iter(since))} {since}.csv"
    identity = whole(sender, name)
    with writing(OPERATOR) as session:
        session.execute(update(Import).where(Import.id == identity).values(**since))
    begun = sender.begun(name)
    assert (begun["import_id"] > identity, begun["offset"], begun["complete"]) == (True, 0, False)


def test_an_upload_that_was_cancelled_is_gone(sender: Sender, site: Site) -> None:
    by = site.people[Role.MANAGER].actor()
    for identity in (whole(sender, "cancelled.csv"), sender.begun("cancelled early.csv")["import_id"]):
        import_orders.cancel(identity, by=by)
        for answer in (sender.look(identity), sender.put(identity, 0, b"x"), sender.complete(identity)):
            assert (answer.status_code, answer.json()["error"]) == (404, f"The upload {identity} was cancelled.")


def test_the_same_file_goes_on_where_it_broke_and_another_one_does_not(
    sender: Sender, signed_in: Callable[..., Sender]
) -> None:
    begun = sender.begun("broken.csv")
    sender.put(begun["import_id"], 0, FILE[:1000])
    assert sender.begun("broken.csv") == begun | {"offset": 1000}
    assert sender.begun("broken.csv", modified=MODIFIED + 1)["import_id"] != begun["import_id"]
    assert sender.begun("broken.csv", size=5)["import_id"] != begun["import_id"]
    other = signed_in(Role.ADMIN)
    assert other.begun("broken.csv")["import_id"] != begun["import_id"]
    assert other.look(begun["import_id"]).status_code == 404
    assert other.put(begun["import_id"], 1000, b"x").status_code == 404
    assert other.complete(begun["import_id"]).status_code == 404


def test_a_piece_in_the_wrong_place_is_told_the_right_one(sender: Sender) -> None:
    identity = sender.begun("places.csv")["import_id"]
    sender.put(identity, 0, FILE[:500])
    for offset in (0, 499, 501):
        answer = sender.put(identity, offset, FILE[offset:])
        assert (answer.status_code, answer.json()["offset"]) == (409, 500)
        assert answer.json()["error"] == "The next piece of places.csv begins at byte 500."
    unfinished = sender.complete(identity)
    assert (unfinished.status_code, unfinished.json()["offset"]) == (409, 500)
    assert sender.put(identity, 500, FILE).status_code == 400, "more than was announced"


@pytest.mark.parametrize("offset", ["", "-1", "x", "٣", "1" * 30])
def test_an_offset_that_is_none(sender: Sender, offset: str) -> None:
    identity = sender.begun("offsets.csv")["import_id"]
    answer = sender.client.put(f"/imports/{identity}/upload", params={"offset": offset}, content=b"x")
    assert (answer.status_code, "?offset=" in answer.json()["error"]) == (400, True)


@contextmanager
def broken_off(sender: Sender, web: Web, import_id: int, sent: int) -> Iterator[None]:
    """The piece FILE is under way while the block runs, of which so many bytes are sent; then the connection breaks."""
    cookie = sender.client.cookies["session"]
    with socket.create_connection(("localhost", web.port)) as wire:
        head = f"PUT /imports/{import_id}/upload?offset=0 HTTP/1.1\r\nhost: localhost:{web.port}\r\n"
        head += f"origin: {web.address}\r\ncookie: session={cookie}\r\ncontent-length: {len(FILE)}\r\n\r\n"
        wire.sendall(head.encode() + FILE[:sent])
        until("it is being written", lambda: stored_files.are_shared() or upload_files.part_path(import_id).exists())
        time.sleep(0.5)  # until it is locked, too
        yield
    deadline = time.monotonic() + 20
    # The last bytes are there a moment before whoever wrote them lets go.
    while sender.look(import_id).json()["offset"] != sent or sender.put(import_id, sent, b"").status_code == 423:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_connection_that_breaks_keeps_what_arrived(sender: Sender, web: Web) -> None:
    identity = sender.begun("cut.csv")["import_id"]
    with broken_off(sender, web, identity, 3000):
        if not stored_files.are_shared():
            locked = sender.put(identity, 0, FILE)
            assert (locked.status_code, locked.json()["error"]) == (423, HELD)
    assert sender.put(identity, 3000, FILE[3000:]).json() == {"offset": len(FILE)}
    sender.complete(identity).raise_for_status()
    assert stored(identity) == FILE


@pytest.mark.parametrize("home", ["folder"], indirect=True)  # with an S3: test_many_hosts.py
def test_one_person_in_two_browsers_on_two_webs(
    sender: Sender, signed_in: Callable[..., Sender], web: Web, site: Site, home: Path
) -> None:
    identity = sender.begun("two webs.csv")["import_id"]
    with started(site, home) as second:
        other = signed_in(Role.MANAGER, on=second)
        with broken_off(sender, web, identity, 3000):
            assert other.put(identity, 0, FILE).status_code == 423
        assert other.put(identity, 0, FILE).status_code == 409
        assert other.put(identity, 3000, FILE[3000:9000]).json() == {"offset": 9000}
        assert sender.put(identity, 3000, FILE[3000:9000]).status_code == 409
        assert sender.put(identity, 9000, FILE[9000:]).json() == {"offset": len(FILE)}
        other.complete(identity).raise_for_status()
    assert stored(identity) == FILE


def test_a_piece_that_comes_after_others_were_written(site: Site, home: Path) -> None:
    """Between the first look and the lock."""
    by = site.people[Role.MANAGER].actor()
    identity = import_uploads.begin(name="late.csv", size=10, modified=MODIFIED, by=by).import_id
    late, early = (import_uploads.part(identity, 0, by=by) for _ in range(2))
    with early:
        if not stored_files.are_shared():
            with pytest.raises(upload_files.Held), late:
                pass
        early.write(b"0123456789")
    with pytest.raises(import_uploads.WrongPlace, match="begins at byte 10"), late:
        pass
    import_uploads.complete(identity, by=by)
    with pytest.raises(import_uploads.WrongPlace, match="begins at byte 10"), late:
        pass
    assert stored(identity) == b"0123456789"


@pytest.mark.parametrize("home", ["s3"], indirect=True)
def test_of_two_that_send_one_piece_at_once_the_first_counts(site: Site, home: Path) -> None:
    by = site.people[Role.MANAGER].actor()
    identity = import_uploads.begin(name="both.csv", size=10, modified=MODIFIED, by=by).import_id
    first, second = (import_uploads.part(identity, 0, by=by) for _ in range(2))
    second.__enter__()
    second.write(b"98765")
    with first:
        first.write(b"0123456789")
    with pytest.raises(import_uploads.WrongPlace, match="begins at byte 10"):
        second.__exit__(None, None, None)
    import_uploads.complete(identity, by=by)
    assert (stored(identity), len(objects(identity))) == (b"0123456789", 1)


def test_a_web_that_is_killed_goes_on_when_it_is_back(web: Web, sender: Sender) -> None:
    identity = sender.begun("killed.csv")["import_id"]
    sender.put(identity, 0, FILE[:7000])
    web.kill()
    with pytest.raises(httpx.TransportError):
        sender.put(identity, 7000, FILE[7000:])
    web.start()
    assert sender.begun("killed.csv")["offset"] == 7000
    sender.put(identity, 7000, FILE[7000:]).raise_for_status()
    sender.complete(identity).raise_for_status()
    assert stored(identity) == FILE


@pytest.mark.parametrize("home", ["folder"], indirect=True)
def test_one_that_was_killed_while_it_was_completed(sender: Sender, home: Path) -> None:
    """Below the home, where the file is given its name before the database knows."""
    identity = sender.begun("renamed.csv")["import_id"]
    sender.put(identity, 0, FILE)
    target = upload_files.part_path(identity).parent / "upload" / "renamed.csv"
    target.parent.mkdir()
    upload_files.part_path(identity).rename(target)
    assert sender.begun("renamed.csv")["offset"] == len(FILE)
    sender.complete(identity).raise_for_status()
    assert stored(identity) == FILE


def test_who_may(signed_in: Callable[..., Sender], sender: Sender) -> None:
    identity = sender.begun("mine.csv")["import_id"]
    analyst, nobody = signed_in(Role.ANALYST), signed_in()
    for visitor, status, sentence in (
        (analyst, 403, "You may not import files: that needs the role admin or manager."),
        (nobody, 401, SIGNED_OUT),
    ):
        for answer in (
            visitor.begin("x.csv", 1),
            visitor.put(identity, 0, b"x"),
            visitor.look(identity),
            visitor.complete(identity),
        ):
            assert (answer.status_code, answer.json()["error"]) == (status, sentence)
    elsewhere = sender.client.put(
        f"/imports/{identity}/upload?offset=0", content=b"x", headers={"origin": "https://elsewhere.example"}
    )
    assert elsewhere.status_code == 403
    assert sender.look(identity).json()["offset"] == 0


@pytest.mark.parametrize("unknown", [99999, 99999999999, 10**30])
def test_an_upload_that_is_none(sender: Sender, unknown: int) -> None:
    for answer in (sender.look(unknown), sender.put(unknown, 0, b"x"), sender.complete(unknown)):
        assert answer.status_code == 404
        assert answer.json()["error"].startswith("There is no ")


def test_one_file_that_two_windows_begin_in_the_same_moment_is_one_import(site: Site, home: Path) -> None:
    by = site.people[Role.MANAGER].actor()
    ready = threading.Barrier(4)

    def begin(_: int) -> int:
        ready.wait()
        return import_uploads.begin(name="twice.csv", size=10, modified=MODIFIED, by=by).import_id

    with ThreadPoolExecutor(4) as windows:
        [only] = set(windows.map(begin, range(4)))
    import_orders.cancel(only, by=by)
    again = import_uploads.begin(name="twice.csv", size=10, modified=MODIFIED, by=by).import_id
    assert again != only
    import_orders.cancel(again, by=by)


def test_the_rows_that_did_not_come_in_as_a_file(signed_in: Callable[..., Sender], site: Site) -> None:
    by = site.people[Role.MANAGER].actor()
    made = imports.create(file_name="böse.csv", overrides={}, match=MatchRule.AUTO, keep=Keep.THEIRS, by=by)
    refused = {"import_id": made, "header": "Email", "value": "=1+1", "cells": ["=1+1", None]}
    with writing(OPERATOR) as session:
        opened = {"opened": {"headers": ["Email", "Title"]}, "rejected": 2, "duplicates": 1}
        session.execute(update(Import).where(Import.id == made).values(opened))
        for kind, line in (("rejected", 2), ("rejected", 3), ("duplicate", 4)):
            session.execute(insert(ImportReject).values(**refused, kind=kind, line=line, reason="It is none."))
    manager, path = signed_in(Role.MANAGER).client, f"/imports/{made}"
    answer = manager.get(f"{path}/rejects.csv")
    assert answer.headers["content-disposition"] == "attachment; filename*=utf-8''b%C3%B6se%20rejects.csv"
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("text/csv; charset=utf-8", "no-store")
    assert answer.content.startswith("\ufeff".encode()), "Excel needs it"
    header, *rows = csv.reader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert header == [*import_rejects.HEADERS, "Email", "Title"]
    assert rows == [[str(line), "Email", "'=1+1", "It is none.", "'=1+1", ""] for line in (2, 3)]
    assert len(manager.get(f"{path}/duplicates.csv").text.splitlines()) == 2
    assert manager.head(f"{path}/rejects.csv").status_code == 200
    assert next(csv.reader(io.StringIO(manager.get(f"{path}/kept.csv").text[1:]))) == list(import_kept.HEADERS)
    taken = [("An manager", {"kind": "rejected", "rows": 2}), ("An manager", {"kind": "duplicate", "rows": 1})]
    with reading() as session:
        lines = select(AuditLine).where(AuditLine.event == Event.IMPORT_ROWS_DOWNLOADED).order_by(AuditLine.id)
        lines = lines.where(AuditLine.subject == f"import {made}")
        assert [(line.actor_name, line.details) for line in session.scalars(lines)] == taken
    with writing(OPERATOR) as session:
        session.execute(update(Import).where(Import.id == made).values(created_by=None))
    users.change("manager@example.com", users.Changes(column_allowed=("email",)), by=OPERATOR)
    hidden = manager.get(f"{path}/rejects.csv")
    assert manager.get(f"{path}/kept.csv").status_code == 403
    users.change("manager@example.com", users.Changes(every_column=True), by=OPERATOR)
    assert (hidden.status_code, hidden.text.partition(":")[0]) == (403, "The values of this file are hidden from you")
    assert manager.get(f"{path}/secrets.csv").status_code == 404
    for unknown in (99999, 99999999999, 10**30):
        assert manager.get(f"/imports/{unknown}/rejects.csv").status_code == 404
    assert signed_in(Role.ANALYST).client.get(f"{path}/rejects.csv").status_code == 403
    assert signed_in().client.get(f"{path}/rejects.csv").status_code == 401


def test_a_session_that_ends_in_the_middle(signed_in: Callable[..., Sender], site: Site) -> None:
    token = site.token(Role.MANAGER)
    sender = signed_in(token=token)
    identity = sender.begun("expired.csv")["import_id"]
    sender.put(identity, 0, FILE[:100])
    sign_ins.sign_out(token)
    assert sender.put(identity, 100, FILE[100:]).status_code == 401
    again = signed_in(Role.MANAGER)
    assert again.begun("expired.csv")["offset"] == 100


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"name": 1, "size": 1, "modified": 1}', b'{"name": "x", "size": -1, "modified": 1}',
             b'{"name": "x", "size": true, "modified": 1}', b'{"name": "x", "size": 1e3, "modified": 1}',
             b'{"name": "' + b"x" * 20_000 + b'", "size": 1, "modified": 1}'],
)  # fmt: skip
def test_a_beginning_that_makes_no_sense(sender: Sender, body: bytes) -> None:
    answer = sender.client.post("/imports/uploads", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"].endswith(".")


def test_an_empty_file_and_one_too_large_are_refused_before_anything_is_sent(sender: Sender) -> None:
    empty, large = sender.begin("empty.csv", 0), sender.begin("large.csv", 10_000_000_001)
    assert (empty.status_code, empty.json()["error"]) == (400, "empty.csv is empty: choose a file with contacts in it.")
    assert large.status_code == 413
    assert large.json()["error"].startswith("large.csv is larger than 10.0GB, the most that can be uploaded here.")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ann\\leads.csv", "leads.csv"),
        ("..", "file"),
        ("", "file"),
        ("a\x00b\r\n.csv", "ab.csv"),
        ("\ud800x.csv", "x.csv"),
        ("ü" * 300 + ".csv", "ü" * 98 + ".csv"),
        ("שלום 🎉.csv", "שלום 🎉.csv"),
        ("x." + "y" * 300, ("x." + "y" * 300)[:200]),
    ],
)
def test_names_are_made_harmless(given: str, name: str) -> None:
    assert upload_files.clean_name(given) == name


if os.geteuid() == 0:  # only root may mount a disk

    @pytest.mark.parametrize("home", ["folder"], indirect=True)
    def test_a_full_disk_is_told_and_nothing_is_lost(web: Web, sender: Sender, home: Path) -> None:
        identity = sender.begun("full.csv", size=3_000_000)["import_id"]
        folder = home / "imports" / str(identity)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
        try:
            answer = sender.put(identity, 0, b"x" * 3_000_000)
            assert answer.status_code == 507
            assert answer.json()["error"].startswith("The disk of the server is full. What arrived of full.csv is kept")
            arrived = sender.look(identity).json()["offset"]
            assert 900_000 < arrived <= 1_048_576
            subprocess.run(["mount", "-o", "remount,size=8m", str(folder)], check=True)
            assert sender.put(identity, arrived, b"x" * (3_000_000 - arrived)).json() == {"offset": 3_000_000}
            sender.complete(identity).raise_for_status()
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_without_room_is_told_before_anything_is_sent(
    site: Site, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("usage", (), {"free": 1_500_000_000})
    monkeypatch.setattr(disk_space.shutil, "disk_usage", lambda _: usage)
    manager = site.people[Role.MANAGER].actor()
    if stored_files.are_shared():  # of which this disk sees a piece at a time
        begun = import_uploads.begin(name="big.csv", size=2_000_000_000, modified=0, by=manager)
        import_orders.cancel(begun.import_id, by=manager)
        usage.free = 200_000_000
    needed = r"64 MB" if stored_files.are_shared() else r"2\.0 GB"
    with pytest.raises(upload_files.NoRoom, match=rf"B left, and big\.csv needs {needed}"):
        import_uploads.begin(name="big.csv", size=2_000_000_000, modified=0, by=manager)


def test_a_large_file_does_not_enter_the_memory(web: Web, sender: Sender) -> None:
    """200 MB; a gigabyte was seen to take as much."""
    piece, pieces = os.urandom(8_000_000), 25
    identity = sender.begun("large.bin", size=pieces * len(piece))["import_id"]
    sender.put(identity, 0, piece).raise_for_status()
    before, most = web.memory(), 0
    for number in range(1, pieces):
        sender.put(identity, number * len(piece), piece).raise_for_status()
        most = max(most, web.memory())
    sender.complete(identity).raise_for_status()
    assert most - before < 30_000_000
    assert import_files.size(imports.get(identity, by=OPERATOR)) == pieces * len(piece)
    import_orders.cancel(identity, by=OPERATOR)


def test_uploads_that_nobody_goes_on_with_are_cleared(sender: Sender) -> None:
    old, fresh = sender.begun("old.csv")["import_id"], sender.begun("fresh.csv")["import_id"]
    for identity in (old, fresh):
        sender.put(identity, 0, FILE[:10])
        _age(identity)
    sender.put(fresh, 10, FILE[10:20])
    assert import_uploads.clear_abandoned(older_than_days=7) == [old]
    assert imports.get(old, by=OPERATOR).state == State.CANCELLED
    assert not upload_files.part_path(old).exists()
    assert not stored_files.are_shared() or objects(old) == []
    assert sender.look(fresh).json()["offset"] == 20


def _age(import_id: int) -> None:
    old = datetime.now(UTC) - timedelta(days=8)
    with writing(OPERATOR) as session:
        session.execute(update(Import).where(Import.id == import_id).values(created_at=old))
        session.execute(update(ImportPart).where(ImportPart.import_id == import_id).values(stored_at=old))
    if not stored_files.are_shared():
        os.utime(upload_files.part_path(import_id), (old.timestamp(), old.timestamp()))
