"""The same tests over a folder and over an S3 that speaks HTTP; then what only one of the two can do wrong."""

import errno
import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from models import file_store, s3_store, settings
from models.errors import Conflict, InvalidInput, NotFound, Unavailable
from models.file_store import NoRoom, Place, Refused, place
from tests.pipelines import nanio, s3

LARGE = 17 * 1024 * 1024  # three parts of an upload


@dataclass
class Kept:
    """A place, and how the tests write into it without it."""

    place: Place
    write: Callable[[str, bytes], Any]
    read: Callable[[str], bytes]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3.serving() as address:
        s3.client(address).create_bucket(Bucket=s3.BUCKET)
        yield address


class Refusing(ThreadingHTTPServer):
    """A server that answers everything with one error."""

    answer = 403, "AccessDenied"

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Refuses(BaseHTTPRequestHandler):
    server: Refusing
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        status, code = self.server.answer
        body = f"<Error><Code>{code}</Code><Message>words of the store.</Message></Error>".encode()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def refusing() -> Iterator[Refusing]:
    with Refusing(("127.0.0.1", 0), _Refuses) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def use_s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    s3.use(endpoint, monkeypatch)
    yield endpoint
    settings.settings.cache_clear()


def test_a_bucket_is_made_once(tmp_path: Path, use_s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with nanio.serving(tmp_path) as address:
        s3.use(address, monkeypatch)
        bucket = s3_store.Prefix("s3://fresh/site")
        assert (bucket.make_bucket(), bucket.make_bucket()) == (True, False)
        bucket.put_open(BytesIO(b"kept"), "leads.csv")
        assert [one.name for one in bucket.files()] == ["leads.csv"]
        monkeypatch.setenv("APPOINTMENT360_S3_SECRET_KEY", "another")
        settings.settings.cache_clear()
        with pytest.raises(Refused, match="refuses this program"):
            s3_store.Prefix("s3://other/site").make_bucket()


@pytest.fixture(params=["folder", "s3"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    if request.param == "folder":
        folder = tmp_path / "incoming"
        folder.mkdir()

        def write(name: str, data: bytes) -> None:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(data)

        return Kept(place(str(folder)), write, lambda name: (folder / name).read_bytes())
    client = s3.client(request.getfixturevalue("use_s3"))
    prefix = f"incoming/{tmp_path.name}"
    return Kept(
        place(f"s3://{s3.BUCKET}/{prefix}"),
        lambda name, data: client.put_object(Bucket=s3.BUCKET, Key=f"{prefix}/{name}", Body=data),
        lambda name: client.get_object(Bucket=s3.BUCKET, Key=f"{prefix}/{name}")["Body"].read(),
    )


def test_its_files_are_listed_by_name_with_size_and_time(kept: Kept) -> None:
    for name in ("b.csv", "a b.csv", "Z.csv", "é.csv", ".hidden", "below/c.csv"):
        kept.write(name, name.encode())
    found = list(kept.place.files())
    assert [one.name for one in found] == ["Z.csv", "a b.csv", "b.csv", "é.csv"]
    assert [one.size for one in found] == [5, 7, 5, 6]
    assert all(abs(datetime.now(UTC) - one.modified) < timedelta(hours=1) for one in found)


def test_a_file_that_is_written_again_has_another_version(kept: Kept) -> None:
    kept.write("a.csv", b"one")
    [before] = kept.place.files()
    kept.write("a.csv", b"two")
    [after] = kept.place.files()
    assert (before.size, after.size) == (3, 3)
    assert before.version != after.version


def test_an_empty_place_has_no_files(kept: Kept) -> None:
    assert list(kept.place.files()) == []


def test_more_files_than_one_answer_holds_are_all_listed(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_store, "PAGE", 2)
    names = [f"{number}.csv" for number in range(5)]
    for name in names:
        kept.write(name, b"")
    assert [one.name for one in kept.place.files()] == names


def test_a_file_comes_as_it_is_with_its_checksum(kept: Kept, tmp_path: Path) -> None:
    data = os.urandom(LARGE)
    kept.write("big.csv", data)
    fetched = kept.place.fetch("big.csv", tmp_path / "here.csv")
    assert (tmp_path / "here.csv").read_bytes() == data
    assert (fetched.sha256, fetched.size) == (hashlib.sha256(data).hexdigest(), LARGE)


def test_a_file_is_put_there_whole_and_found_again(kept: Kept, tmp_path: Path) -> None:
    data = os.urandom(LARGE)
    (tmp_path / "export.csv").write_bytes(data)
    address = kept.place.put(tmp_path / "export.csv", "out.csv")
    assert address == f"{kept.place.address}/out.csv"
    assert kept.read("out.csv") == data
    assert [one.name for one in kept.place.files()] == ["out.csv"]


def test_nothing_is_written_over_unless_that_is_meant(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_bytes(b"new")
    kept.write("a.csv", b"old")
    with pytest.raises(Conflict, match=r"a\.csv is in .* already, and was left as it is: choose another name"):
        kept.place.put(tmp_path / "new.csv", "a.csv")
    assert kept.read("a.csv") == b"old"
    kept.place.put(tmp_path / "new.csv", "a.csv", replace=True)
    assert kept.read("a.csv") == b"new"
    assert [one.name for one in kept.place.files()] == ["a.csv"]


def test_of_several_that_put_the_same_name_at_once_one_does(kept: Kept, tmp_path: Path) -> None:
    said: list[str] = []

    def put(number: int) -> None:
        path = tmp_path / f"{number}.csv"
        path.write_bytes(bytes([number]) * 1000)
        try:
            kept.place.put(path, "same.csv")
            said.append("put")
        except Conflict as conflict:
            said.append(conflict.sentence)

    threads = [threading.Thread(target=put, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said.count("put") == 1
    assert sum("same.csv is in" in one for one in said) == 3
    assert len(set(kept.read("same.csv"))) == 1


@pytest.mark.parametrize("name", ["", "../a.csv", "below/a.csv", ".a.csv", "a\\b.csv"])
def test_a_name_that_leads_elsewhere_is_refused(kept: Kept, tmp_path: Path, name: str) -> None:
    (tmp_path / "a.csv").write_bytes(b"a")
    with pytest.raises(InvalidInput, match="is no name for a file"):
        kept.place.put(tmp_path / "a.csv", name)
    with pytest.raises(InvalidInput, match="is no name for a file"):
        kept.place.fetch(name, tmp_path / "b.csv")


def test_a_file_that_went_is_said_to_be_gone(kept: Kept, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"There is no file a\.csv in .* any more"):
        kept.place.fetch("a.csv", tmp_path / "here.csv")
    assert not list(tmp_path.glob(".here*"))


def test_a_place_that_is_not_there_is_named(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"a")
    address = "s3://no-such-bucket/x" if kept.place.address.startswith("s3") else str(tmp_path / "none")
    other = place(address)
    for use in (lambda: list(other.files()), lambda: other.put(tmp_path / "a.csv", "a.csv")):
        with pytest.raises(NotFound, match=r"There is no (bucket no-such-bucket|folder .*none): make it, or"):
            use()


def test_a_full_disk_leaves_nothing_behind(kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.write("a.csv", b"a" * 100)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(NoRoom, match=r"The disk is full: .*here\.csv was not written\. Free some space"):
        kept.place.fetch("a.csv", tmp_path / "here.csv")
    assert not [path for path in tmp_path.iterdir() if "here" in path.name]


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("", "Give a place"), ("leads", "no whole path"), ("/a/../b", "no whole path"), ("gs://b/c", "is no place"),
        ("s3://", "is no name of a bucket"), ("s3://key:secret@bucket/x", "without keys in it"), ("a\nb", "Give a"),
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(address: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        place(address)


def test_an_address_is_kept_in_one_form() -> None:
    assert place(" s3://leads/in/ ").address == "s3://leads/in"
    assert place("s3://leads/").address == "s3://leads"
    assert place("/srv/in/").address == "/srv/in"


def test_links_of_a_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "in" / "a.csv").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "in" / "pipe.csv")
    folder = place(str(tmp_path / "in"))
    assert list(folder.files()) == []
    for name in ("a.csv", "pipe.csv"):
        with pytest.raises((Unavailable, InvalidInput), match=name):
            folder.fetch(name, tmp_path / "here.csv")
    assert not (tmp_path / "here.csv").exists()


def test_a_closed_folder_says_who_may_open_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    (tmp_path / "a.csv").write_text("a")
    monkeypatch.setattr(file_store.os, "scandir", refuse)  # root, who runs the tests, may read everything
    with pytest.raises(Refused, match="may not be read by this program: let its system user do so"):
        list(place(str(tmp_path)).files())
    monkeypatch.setattr(file_store.os, "open", refuse)
    with pytest.raises(Refused, match=r"a\.csv may not be read by this program"):
        place(str(tmp_path)).fetch("a.csv", tmp_path / "b.csv")


def test_a_disk_without_links_still_writes_over_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    (tmp_path / "in").mkdir()
    (tmp_path / "a.csv").write_text("a")
    monkeypatch.setattr(file_store.os, "link", refuse)
    folder = place(str(tmp_path / "in"))
    folder.put(tmp_path / "a.csv", "a.csv")
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["a.csv"]
    with pytest.raises(Conflict):
        folder.put(tmp_path / "a.csv", "a.csv")


def test_nobody_at_the_endpoint_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    s3.use("http://127.0.0.1:9", monkeypatch)
    (tmp_path / "a.csv").write_text("a")
    other = place("s3://leads/in")
    for use in (
        lambda: list(other.files()),
        lambda: other.fetch("a.csv", tmp_path / "b.csv"),
        lambda: other.put(tmp_path / "a.csv", "a.csv"),
    ):
        with pytest.raises(Unavailable, match=r"s3://leads/in cannot be reached at http://127\.0\.0\.1:9"):
            use()
    settings.settings.cache_clear()


def test_keys_that_are_missing_are_asked_for(use_s3: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "APPOINTMENT360_S3_ACCESS_KEY", "APPOINTMENT360_S3_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    settings.settings.cache_clear()
    with pytest.raises(Refused, match="takes keys, and there are none: set APPOINTMENT360_S3_ACCESS_KEY"):
        list(place(f"s3://{s3.BUCKET}/in").files())


@pytest.mark.parametrize(
    ("status", "code", "kind", "sentence"),
    [
        (403, "AccessDenied", Refused, r"refuses this program \(AccessDenied\): check APPOINTMENT360_S3_ACCESS_KEY"),
        (403, "SignatureDoesNotMatch", Refused, "check APPOINTMENT360_S3_ACCESS_KEY"),
        (403, "QuotaExceeded", NoRoom, "has no room left"),
        (507, "XMinioStorageFull", NoRoom, "has no room left"),
        (400, "Odd", Unavailable, "answered Odd: words of the store"),
    ],
)
def test_what_a_store_refuses_is_a_sentence(
    refusing: "Refusing", monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    status: int, code: str, kind: type[Unavailable], sentence: str,
) -> None:  # fmt: skip
    """Moto refuses nothing: these answers are in S3's form, sent over HTTP."""
    refusing.answer = status, code
    s3.use(refusing.endpoint, monkeypatch)
    (tmp_path / "a.csv").write_text("a")
    other = place("s3://leads/in")
    for use in (lambda: list(other.files()), lambda: other.put(tmp_path / "a.csv", "a.csv", replace=True)):
        with pytest.raises(kind, match=sentence):
            use()
    settings.settings.cache_clear()


def test_s3_is_loaded_only_when_it_is_used(tmp_path: Path) -> None:
    code = f"import sys; from models.file_store import place; place({str(tmp_path)!r}); print('boto3' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_an_address_gives_the_file_under_its_name_to_whoever_has_it(use_s3: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    kept = s3_store.Prefix(f"s3://{s3.BUCKET}/{tmp_path.name}")
    kept.put(tmp_path / "file", "made")
    named = {"disposition": "attachment; filename*=utf-8''%C3%BC.csv", "media_type": "text/csv; charset=utf-8"}
    answer = httpx.get(kept.presigned("made", seconds=60, **named))
    assert (answer.status_code, answer.content) == (200, b"0123456789")
    assert answer.headers["content-disposition"] == named["disposition"]
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == (named["media_type"], "no-store")
    assert b"".join(kept.read("made", 3, 5)) == b"345"
    assert (kept.size("made"), kept.size("another")) == (10, None)


def test_browsers_may_know_the_store_by_another_name(use_s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPOINTMENT360_S3_PUBLIC_ENDPOINT", "https://files.example.com")
    settings.settings.cache_clear()
    given = s3_store.Prefix("s3://leads/x").presigned("made", seconds=60, disposition="attachment", media_type="a/b")
    assert given.startswith("https://files.example.com/leads/x/made?")


@pytest.mark.parametrize(
    ("kind", "key"), [("AES256", None), ("aws:kms", None), ("aws:kms", "alias/ours"), ("none", None)]
)
def test_the_store_is_told_how_to_encrypt(
    use_s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, key: str | None
) -> None:
    monkeypatch.setenv("APPOINTMENT360_S3_ENCRYPTION", kind)
    if key:
        monkeypatch.setenv("APPOINTMENT360_S3_KMS_KEY", key)
    settings.settings.cache_clear()
    (tmp_path / "file").write_bytes(b"x")
    kept = s3_store.Prefix(f"s3://{s3.BUCKET}/{tmp_path.name}")
    kept.put(tmp_path / "file", "put")
    with (tmp_path / "file").open("rb") as file:
        kept.put_open(file, "opened")
    for name in ("put", "opened"):
        said = s3.client(use_s3).head_object(Bucket=s3.BUCKET, Key=f"{tmp_path.name}/{name}")
        asked = None if kind == "none" else kind
        assert said.get("ServerSideEncryption") in (asked, asked or "AES256")  # which a bucket does by itself
        assert key is None or key in said["SSEKMSKeyId"]


def test_everything_below_goes_at_once(use_s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_store, "PAGE", 2)
    client = s3.client(use_s3)
    for name in ("one/1/a", "one/1/b", "one/2", "one/3", "one/4", "one2"):
        client.put_object(Bucket=s3.BUCKET, Key=f"gone/{name}", Body=b"x")
    kept = s3_store.Prefix(f"s3://{s3.BUCKET}/gone/one")
    assert [one.name for one in kept.below()] == ["1/a", "1/b", "2", "3", "4"]
    kept.remove_all(["1/a"])
    kept.remove_all()
    assert [one.name for one in s3_store.Prefix(f"s3://{s3.BUCKET}/gone").below()] == ["one2"]
