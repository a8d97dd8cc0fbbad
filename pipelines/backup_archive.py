"""The archive of a backup: a tar of pg_dump's directory (below dump/) and the stored files (below files/), packed by
zstd and encrypted by age, all in one stream. `age -d -i KEY ARCHIVE | zstd -d | tar x` opens it without this program.
"""

import hashlib
import os
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, Protocol

import pyrage
import zstandard

from pipelines.backup_key import Key
from pipelines.backup_manifest import Unfit

LEVEL, THREADS, BLOCK = 1, 2, 1024 * 1024
DUMP, FILES = "dump", "files"


class Archived(Protocol):
    """What a manifest says of its archive."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def sha256(self) -> str: ...
    @property
    def files(self) -> dict[str, tuple[int, str]]: ...


class _Hashed:
    """A file that is read or written from its beginning to its end, and hashed and counted meanwhile."""

    def __init__(self, file: Any) -> None:
        self.file, self.digest, self.size = file, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self._note(data)
        self.file.write(data)
        return len(data)

    def read(self, size: int = -1) -> bytes:
        data: bytes = self.file.read(size)
        self._note(data)
        return data

    def flush(self) -> None:
        self.file.flush()

    def _note(self, data: bytes) -> None:
        self.digest.update(data)
        self.size += len(data)


def write(
    to: Path, dump: Path | None, files: Iterator[tuple[str, Path]], key: Key | None
) -> tuple[int, str, dict[str, Any]]:
    """Pack the dump and the files; the archive's size and SHA-256, and size and SHA-256 of each file. A file that was
    deleted meanwhile is left out."""
    told: dict[str, tuple[int, str]] = {}
    with to.open("wb") as raw:
        out = _Hashed(raw)
        with (
            _encrypted(out, key) as sink,
            _packed(sink) as packed,
            tarfile.open(fileobj=packed, mode="w|", bufsize=BLOCK) as tar,
        ):
            for path in sorted(dump.iterdir()) if dump else ():
                tar.add(path, f"{DUMP}/{path.name}", recursive=False)
            for name, path in files:
                if (found := _add(tar, f"{FILES}/{name}", path)) is not None:
                    told[name] = found
        raw.flush()
        os.fsync(raw.fileno())
    return out.size, out.digest.hexdigest(), told


def unpack(archive: Path, manifest: Archived, key: Key | None, *, dump: Path | None, files: Path | None) -> None:
    """The dump into its folder, and the stored files below `files`, or only compared; everything is held against the
    manifest, and nothing of it counts before the end. Raises Unfit."""
    if (size := archive.stat().st_size) != manifest.size:
        few = "cut short" if size < manifest.size else "longer than it was"
        raise Unfit(f"{manifest.name} is refused: it is {few}, {size:,} bytes instead of {manifest.size:,}.")
    damaged = f"{manifest.name} is refused: its archive is damaged, or that of another backup."
    if dump is not None:
        dump.mkdir(parents=True)
    left = dict(manifest.files)
    with archive.open("rb") as raw:
        source = _Hashed(raw)
        try:
            with _decrypted(source, key) as plain:
                reader = zstandard.ZstdDecompressor().stream_reader(plain, read_size=BLOCK, read_across_frames=True)
                with tarfile.open(fileobj=reader, mode="r|", bufsize=BLOCK) as tar:
                    for member in tar:
                        _take(tar, member, left, dump, files)
                while reader.read(BLOCK):
                    pass
            while source.read(BLOCK):
                pass
        except (pyrage.DecryptError, zstandard.ZstdError, tarfile.TarError, EOFError, ValueError, KeyError) as error:
            raise Unfit(damaged) from error
    if source.digest.hexdigest() != manifest.sha256 or left:
        raise Unfit(damaged)


def _add(tar: tarfile.TarFile, name: str, path: Path) -> tuple[int, str] | None:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    with file:
        entry = tar.gettarinfo(arcname=name, fileobj=file)
        hashed = _Hashed(file)
        tar.addfile(entry, hashed)
    return entry.size, hashed.digest.hexdigest()


def _take(
    tar: tarfile.TarFile,
    member: tarfile.TarInfo,
    left: dict[str, tuple[int, str]],
    dump: Path | None,
    files: Path | None,
) -> None:
    kind, _, name = member.name.partition("/")
    parts = PurePosixPath(name).parts
    content = tar.extractfile(member) if member.isreg() else None
    if content is None or not parts or ".." in parts or name.startswith("/"):
        raise ValueError(member.name)
    if dump is not None and kind == DUMP and len(parts) == 1:
        with (dump / name).open("wb") as to:
            _copy(content, to)
        return
    expected = left.pop(name)  # KeyError: the manifest knows no such file
    target = files / name if files is not None else None
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") if target is not None else Path(os.devnull).open("wb") as to:
        hashed = _Hashed(to)
        _copy(content, hashed)
    if (hashed.size, hashed.digest.hexdigest()) != expected:
        raise ValueError(name)


def _copy(source: IO[bytes], to: Any) -> None:
    while block := source.read(BLOCK):
        to.write(block)


@contextmanager
def _packed(sink: Any) -> Iterator[Any]:
    writer = zstandard.ZstdCompressor(level=LEVEL, threads=THREADS, write_checksum=True).stream_writer(
        sink, closefd=False, write_size=BLOCK
    )
    with writer:
        yield writer


@contextmanager
def _encrypted(out: _Hashed, key: Key | None) -> Iterator[Any]:
    """age reads by itself until there is no more: a pipe lies between, and a thread beside."""
    if key is None:
        yield out
        return
    recipient = key.identity.to_public()
    with _beside(lambda source: pyrage.encrypt_io(source, out, [recipient]), reads=True) as pipe:
        yield pipe


@contextmanager
def _decrypted(source: _Hashed, key: Key | None) -> Iterator[Any]:
    if key is None:
        yield source
        return
    identity = key.identity

    def decrypt(to: BinaryIO) -> None:
        try:
            pyrage.decrypt_io(source, to, [identity])
        except OSError as error:
            if error.errno is None:  # age's own word for bytes that are not what was written
                raise ValueError("damaged") from error
            raise

    with _beside(decrypt, reads=False) as pipe:
        yield pipe


@contextmanager
def _beside(work: Callable[[BinaryIO], None], *, reads: bool) -> Iterator[BinaryIO]:
    """Our end of a pipe whose other end a thread works on; what goes wrong there is raised here, at the end."""
    reading, writing = os.pipe()
    ours, theirs = (writing, reading) if reads else (reading, writing)
    raised: list[BaseException] = []

    def run() -> None:
        try:
            with os.fdopen(theirs, "rb" if reads else "wb", BLOCK) as end:
                work(end)
        except BaseException as error:  # noqa: BLE001  raised on below
            raised.append(error)

    thread = threading.Thread(target=run, name="age")
    thread.start()
    try:
        with os.fdopen(ours, "wb" if reads else "rb", BLOCK) as end:
            yield end
    except BaseException:
        thread.join()
        if raised and not isinstance(raised[0], BrokenPipeError):
            raise raised[0] from None
        raise
    thread.join()
    if raised and not isinstance(raised[0], BrokenPipeError):
        raise raised[0]
