"""Files that programs send in parts: in any order, twice, several at once, through crashes."""

import base64
import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from models import (
    import_files,
    import_orders,
    import_parts,
    import_uploads,
    imports,
    parted_uploads,
    settings,
    stored_files,
    tokens,
    upload_files,
)
from models.contacts import policies
from models.errors import Conflict
from models.parted_uploads import PartWriter
from models.permissions import OPERATOR, Role
from tests.dashboard.api.conftest import Client
from tests.people import person
from tests.pipelines import nanio, s3
from tests.pipelines.importing import sql
from tests.waiting import free_port

ROOT = Path(__file__).parents[3]
SIZE = 40_000
FILE = random.Random(1).randbytes(3 * SIZE + 500)
PARTS = {number: FILE[(number - 1) * SIZE : number * SIZE] for number in range(1, 5)}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with nanio.serving(tmp_path_factory.mktemp("store")) as endpoint:
        s3.client(endpoint).create_bucket(Bucket=s3.BUCKET)
        yield endpoint


@pytest.fixture(params=["folder", "s3"])
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """This process's home, and so the server's in its thread; what arrives lies there, or in an S3."""
    if request.param == "s3":
        s3.use(request.getfixturevalue("store"), monkeypatch)
        monkeypatch.setenv("APPOINTMENT360_FILES", f"s3://{s3.BUCKET}/{tmp_path.name}")
    monkeypatch.setenv("APPOINTMENT360_HOME", str(tmp_path / "home"))
    settings.settings.cache_clear()
    yield tmp_path / "home"
    settings.settings.cache_clear()


def objects(upload: int) -> list[str]:
    return [one.name for one in stored_files.place(stored_files.address("imports", upload)).below()]


def begun(client: httpx.Client, name: str = "leads.csv", data: bytes = FILE, **more: Any) -> int:
    """The number of the import that a new upload belongs to."""
    answer = client.post("/imports", json={"name": name, "size": len(data), "part_size": SIZE, **more})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["import_id"])


def put(client: httpx.Client, upload: int, number: int, data: bytes | None = None, **headers: str) -> httpx.Response:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.put(
        f"/imports/{upload}/parts/{number}", content=PARTS[number] if data is None else data, headers=told
    )


def look(client: httpx.Client, upload: int) -> Any:
    return client.get(f"/imports/{upload}/upload").raise_for_status().json()


def complete(client: httpx.Client, upload: int, **whole: str) -> httpx.Response:
    return client.post(f"/imports/{upload}/upload/complete", json=whole)


def stored(upload: int) -> bytes:
    found = imports.get(upload, by=OPERATOR)
    data = import_files.fetch(found).read_bytes()
    import_files.let_go(found)
    return data


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_parts_in_any_order_are_the_file(client: Client, home: Path) -> None:
    manager = client(Role.MANAGER)
    upload = begun(manager, "leads 2026.csv")
    first = put(manager, upload, 3)
    assert (first.status_code, first.json()) == (200, {"number": 3, "bytes": SIZE, "sha256": sha256(PARTS[3])})
    put(manager, upload, 1).raise_for_status()
    assert put(manager, upload, 3).json() == first.json(), "the same part again"
    early = complete(manager, upload)
    assert (early.status_code, early.json()["missing"]) == (409, [2, 4])
    other = put(manager, upload, 1, PARTS[2])
    assert (other.status_code, "is here already, with other bytes" in other.json()["detail"]) == (409, True)
    put(manager, upload, 4).raise_for_status()
    there = look(manager, upload)
    assert ([one["number"] for one in there["here"]], there["missing"], there["arrived"]) == ([1, 3, 4], [2], 80_500)
    assert imports.get(upload, by=OPERATOR).file_path == ""
    assert import_uploads.arrived(upload, by=OPERATOR) == 80_500, "which the screen of the import shows"
    put(manager, upload, 2).raise_for_status()
    done = complete(manager, upload)
    assert (done.status_code, done.headers["location"]) == (202, f"/api/v1/imports/{upload}")
    assert (done.json()["phase"], done.json()["wanted"]) == ("waiting", "opened")
    assert complete(manager, upload).status_code == 202
    assert imports.get(upload, by=OPERATOR).orders == 1, "a second time changes nothing"
    assert stored(upload) == FILE
    assert put(manager, upload, 2).status_code == 409
    after = look(manager, upload)
    assert (after["complete"], after["arrived"], after["missing"], after["here"]) == (True, len(FILE), [], [])
    left = sorted(path.name for path in (home / "imports" / str(upload)).iterdir())
    assert (left, len(objects(upload))) == ([], 4) if stored_files.are_shared() else left == ["upload"]


def test_what_its_sender_says_of_a_part_is_held_to_it(client: Client, home: Path) -> None:
    manager = client(Role.MANAGER)
    upload = begun(manager)
    right, wrong = (base64.b64encode(hashlib.sha256(PARTS[one]).digest()).decode() for one in (1, 2))
    for header in ({"content_digest": f"sha-256=:{wrong}:"}, {"digest": f"SHA-256={wrong}"}):
        refused = put(manager, upload, 1, **header)
        assert (refused.status_code, "another SHA-256" in refused.json()["detail"]) == (422, True)
    assert put(manager, upload, 1, content_digest="sha-256=:none:").status_code == 422
    for length in (SIZE - 1, 0, SIZE + 1, 20 * SIZE):
        refused = put(manager, upload, 1, FILE[:1] * length)
        assert (refused.status_code, "has 40,000 bytes" in refused.json()["detail"]) == (422, True)
    assert look(manager, upload)["here"] == []
    assert put(manager, upload, 1, content_digest=f"unixsum=:AA==:, sha-256=:{right}:").status_code == 200
    assert put(manager, upload, 1, digest=f"SHA-256={right}").status_code == 200
    assert put(manager, upload, 1, digest=f"SHA-256={wrong}").status_code == 422


def test_a_whole_file_that_is_another_one_is_not_taken(client: Client, home: Path) -> None:
    manager = client(Role.MANAGER)
    upload = begun(manager)
    for number in PARTS:
        put(manager, upload, number, PARTS[2] if number == 1 else None).raise_for_status()
    refused = complete(manager, upload, sha256=sha256(FILE))
    assert (refused.status_code, "arrived with the SHA-256" in refused.json()["detail"]) == (422, True)
    assert manager.delete(f"/imports/{upload}/parts/1").status_code == 204
    assert look(manager, upload)["missing"] == [1]
    put(manager, upload, 1).raise_for_status()
    assert complete(manager, upload, sha256=sha256(FILE).upper()).status_code == 202
    assert stored(upload) == FILE
    assert manager.delete(f"/imports/{upload}/parts/1").status_code == 409


@contextmanager
def half_sent(client: httpx.Client, upload: int, number: int) -> Iterator[None]:
    """A part is on its way while the block runs, of which a half is sent; then the connection breaks."""
    address = client.base_url
    head = (
        f"PUT /imports/{upload}/parts/{number} HTTP/1.1\r\nhost: x\r\nauthorization: {client.headers['authorization']}"
        f"\r\ncontent-length: {SIZE}\r\n\r\n"
    )
    with socket.create_connection((address.host, address.port or 0)) as wire:
        wire.sendall(head.encode() + b"?" * (SIZE // 2))
        deadline = time.monotonic() + 20
        while not (stored_files.are_shared() or (upload_files.locks(upload) / str(number)).exists()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield


def until(answered: Any) -> httpx.Response:
    """The answer once nobody else is at it any more."""
    deadline = time.monotonic() + 20
    while (answer := answered()).status_code == 423:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return answer  # type: ignore[no-any-return]


@pytest.mark.parametrize("home", ["s3"], indirect=True)
def test_of_two_writers_of_one_part_the_first_one_counts(client: Client, home: Path) -> None:
    upload = begun(client(Role.MANAGER))
    by = imports.requester(imports.get(upload, by=OPERATOR))
    first, same, other = (PartWriter(upload, 1, by=by) for _ in range(3))
    with first, same, other:
        for writer, data in ((first, PARTS[1]), (same, PARTS[1]), (other, PARTS[2])):
            writer.write(data)
        kept = first.keep()
        assert (same.keep().stored_as, kept.sha256) == (kept.stored_as, sha256(PARTS[1]))
        with pytest.raises(Conflict, match="is here already, with other bytes"):
            other.keep()
    assert objects(upload) == [kept.stored_as], "the others took theirs back"
    parted_uploads.remove(upload, 1, by=by)
    with PartWriter(upload, 1, by=by) as again:
        again.write(PARTS[1])
        assert again.keep().stored_as != kept.stored_as


@pytest.mark.parametrize("home", ["folder"], indirect=True)
def test_two_writers_of_one_part_do_not_meet(client: Client, home: Path) -> None:
    manager = client(Role.MANAGER)
    upload = begun(manager)
    with half_sent(manager, upload, 1):
        locked = put(manager, upload, 1)
        assert (locked.status_code, locked.headers["retry-after"]) == (423, "1")
        assert manager.delete(f"/imports/{upload}/parts/1").status_code == 423
        assert put(manager, upload, 2).status_code == 200, "other parts go on"
    assert until(lambda: put(manager, upload, 1)).status_code == 200
    with half_sent(manager, upload, 1):
        assert complete(manager, upload).json()["missing"] == [3, 4]
    assert until(lambda: put(manager, upload, 1)).status_code == 200, "that sender is gone"
    for number in (3, 4):
        put(manager, upload, number).raise_for_status()
    complete(manager, upload).raise_for_status()
    assert stored(upload) == FILE, "half of a part that was here already changed nothing of it"


def test_many_at_once_each_part_twice(client: Client, home: Path) -> None:
    manager = client(Role.MANAGER)
    data = random.Random(2).randbytes(30 * 7_001 - 3)
    upload = begun(manager, data=data, part_size=7_001)
    numbers = [*range(1, 31)] * 2
    random.Random(3).shuffle(numbers)

    def send(number: int) -> int:
        part = data[(number - 1) * 7_001 : number * 7_001]
        return until(lambda: put(manager, upload, number, part)).status_code

    with ThreadPoolExecutor(8) as senders:
        assert set(senders.map(send, numbers)) == {200}
    complete(manager, upload, sha256=sha256(data)).raise_for_status()
    assert stored(upload) == data


def test_the_same_file_goes_on_and_roads_do_not_cross(client: Client, home: Path) -> None:
    manager = client(Role.MANAGER)
    at = {"modified": "2026-11-01T10:30:00.250+01:00"}
    upload = begun(manager, **at)
    put(manager, upload, 2).raise_for_status()
    again = manager.post("/imports", json={"name": "leads.csv", "size": len(FILE), **at})
    assert (again.status_code, again.json()["import_id"], again.json()["missing"]) == (200, upload, [1, 3, 4])
    assert again.json()["part_size"] == SIZE, "that of the beginning counts"
    assert begun(manager) != begun(manager), "nobody says that they are the same"
    assert begun(manager, modified="2026-11-01T09:30:01Z") != upload

    found = imports.get(upload, by=OPERATOR)
    by = imports.requester(found)
    file: dict[str, Any] = {"name": "leads.csv", "size": len(FILE), "modified": found.upload_modified}
    with pytest.raises(upload_files.Held, match=f"Import {upload} gets leads.csv from a program just now"):
        import_uploads.begin(**file, by=by)
    with pytest.raises(upload_files.Held):
        import_uploads.part(upload, 0, by=by)
    import_orders.cancel(upload, by=by)
    browsers = import_uploads.begin(**file, by=by).import_id
    refused = manager.post("/imports", json={"name": "leads.csv", "size": len(FILE), **at})
    assert (refused.status_code, "from a browser just now" in refused.json()["detail"]) == (423, True)
    assert (put(manager, browsers, 1).status_code, look(manager, browsers)["part_size"]) == (409, None)


def test_a_cancelled_upload_leaves_nothing(client: Client, home: Path) -> None:
    manager = client(Role.MANAGER)
    upload = begun(manager)
    put(manager, upload, 1).raise_for_status()
    cancelled = manager.post(f"/imports/{upload}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (202, "cancelled")
    for answer in (put(manager, upload, 2), manager.get(f"/imports/{upload}/upload"), complete(manager, upload)):
        assert (answer.status_code, answer.json()["detail"]) == (404, f"The upload {upload} was cancelled.")
    assert (sql("SELECT * FROM import_parts"), list(home.glob("imports/*"))) == ([], [])
    assert not stored_files.are_shared() or objects(upload) == []


def test_who_may_send_what(client: Client, home: Path) -> None:
    manager = client(Role.MANAGER)
    upload = begun(manager)
    other = client(Role.ADMIN)
    assert {put(other, upload, 1).status_code, complete(other, upload).status_code} == {404}
    assert put(client(Role.ANALYST), upload, 1).status_code == 403
    narrow = client(Role.MANAGER, columns=["email"])
    assert narrow.post("/imports", json={"name": "a.csv", "size": 5}).status_code == 403
    assert [put(manager, upload, number, b"").status_code for number in (0, 5, 10_001)] == [422] * 3
    for wrong in (
        {"size": 0},
        {"part_size": 0},
        {"size": 200_000, "part_size": 2},
        {"name": ""},
        {"modified": "soon"},
        {"modified": 0},
        {"modified": "2026-11-01T10:00:00"},
        {"size": "5"},
        {"size": True},
    ):
        assert manager.post("/imports", json={"name": "a.csv", "size": 5, **wrong}).status_code == 422, wrong
    assert manager.post("/imports", json={"name": "a.csv", "size": 10**13}).status_code == 413


def test_the_usual_size_of_parts_fits_the_file(client: Client, home: Path) -> None:
    answer = client(Role.MANAGER).post("/imports", json={"name": "../../small.csv", "size": 5}).json()
    assert (answer["name"], answer["part_size"], answer["missing"]) == ("small.csv", 8_388_608, [1])
    assert import_parts.count(10_000_000_000, import_parts.usual_size(10_000_000_000)) == 200


@pytest.mark.parametrize(("said", "moment"), [("0001-01-01T00:00:00Z", 1970), ("9999-12-31T23:59:59-23:59", 9999)])
def test_a_file_of_an_impossible_moment(client: Client, home: Path, said: str, moment: int) -> None:
    upload = begun(client(Role.MANAGER), modified=said)
    assert policies.of(imports.get(upload, by=OPERATOR)).moment.year == moment


class Server:
    """The API alone, as a process that can be killed and started again."""

    def __init__(self, url: str, home: Path) -> None:
        self.port = free_port()
        self.environment = {**os.environ, "DATABASE_URL": url, "APPOINTMENT360_HOME": str(home)}
        self.environment |= {"PYTHONPATH": str(ROOT)}
        self.address, self.home = f"http://127.0.0.1:{self.port}", home
        self.process = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            "dashboard.api:api",
            "--port",
            str(self.port),
            "--log-level",
            "error",
        ]
        self.process = subprocess.Popen(command, env=self.environment, cwd=ROOT)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                httpx.get(f"{self.address}/health").raise_for_status()
                return self.process
            except httpx.TransportError:
                assert self.process.poll() is None
                time.sleep(0.05)
        raise AssertionError("it does not answer")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def test_what_was_acknowledged_outlives_kill_9_and_nothing_gathers_in_memory(db: str, home: Path) -> None:
    person(email="ann@example.com", name="Ann", role=Role.MANAGER)
    _, token = tokens.create_for("ann@example.com", "a test", scopes=None, by=OPERATOR)
    large = 120_000_000
    server = Server(db, home)
    try:
        with httpx.Client(base_url=server.address, headers={"authorization": f"Bearer {token}"}, timeout=60) as ann:
            upload = begun(ann)
            put(ann, upload, 2).raise_for_status()
            with half_sent(ann, upload, 1):
                server.kill()
            server.start()
            there = look(ann, upload)
            assert ([one["number"] for one in there["here"]], there["missing"]) == ([2], [1, 3, 4])
            for number in (4, 1, 3, 2):
                put(ann, upload, number).raise_for_status()
            complete(ann, upload, sha256=sha256(FILE)).raise_for_status()
            assert stored(upload) == FILE

            answer = ann.post("/imports", json={"name": "large.csv", "size": large, "part_size": large})
            address = f"/imports/{answer.json()['import_id']}/parts/1"
            before = psutil.Process(server.process.pid).memory_info().rss
            ann.put(address, content=(b"x" * 1_000_000 for _ in range(large // 1_000_000))).raise_for_status()
            grown = psutil.Process(server.process.pid).memory_info().rss - before
            assert grown < 40_000_000
    finally:
        server.kill()


@pytest.mark.parametrize("home", ["folder"], indirect=True)
def test_a_process_that_was_killed_while_it_completed(client: Client, home: Path) -> None:
    manager = client(Role.MANAGER)
    upload = begun(manager)
    for number in PARTS:
        put(manager, upload, number).raise_for_status()
    upload_files.take(upload, "leads.csv")  # and then it was killed
    assert look(manager, upload)["missing"] == []
    assert put(manager, upload, 1).status_code == 200
    complete(manager, upload, sha256=sha256(FILE)).raise_for_status()
    assert stored(upload) == FILE
