"""Gzip, Zstandard and zip: unpacked as a stream beside the store, never further than is sane."""

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Protocol, cast

import zstandard

from models import disk_space
from models.import_progress import Step
from pipelines.contact_files.opened_file import UnreadableFile, disk_is_full
from pipelines.watched import begin, place_in

PIECE = 1024 * 1024
# Text compresses 5 to 20 times, repetitive exports up to 100 times; bombs 1,000 times and more.
MOST_EXPANSION = 200
ALWAYS_ALLOWED = 1024**3
ZSTD_WINDOW = 2**27


class Readable(Protocol):
    """Anything that gives bytes piece by piece."""

    def read(self, size: int, /) -> bytes: ...


def unpack_gzip(path: Path, target: Path) -> None:
    """Write the content of a .gz file to `target`. Raises UnreadableFile when it is cut, damaged or a bomb."""
    with damage_named(path), _opened(path) as packed, gzip.open(packed, "rb") as source:
        _copy(source, target, packed=path.stat().st_size, name=path.name)


def unpack_zstd(path: Path, target: Path) -> None:
    """Write the content of a .zst file to `target`. Raises UnreadableFile when it is cut, damaged or a bomb."""
    with damage_named(path), _opened(path) as packed:
        decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW)
        # The reader only ever calls read(size).
        source_and_last = cast(IO[bytes], _WithLastFrame(packed))
        with decompressor.stream_reader(source_and_last, read_across_frames=True) as source:
            _copy(source, target, packed=path.stat().st_size, name=path.name)
    _require_last_frame(target, path.name)


# The reader says nothing when a frame ends early. So one more frame is sent after the file: its text comes out at the
# end exactly when everything before it was whole.
LAST_TEXT = b"\nwhole to the end\n"


class _WithLastFrame:
    def __init__(self, packed: IO[bytes]) -> None:
        self._packed = packed
        self._tail = zstandard.ZstdCompressor().compress(LAST_TEXT)

    def read(self, size: int) -> bytes:
        if piece := self._packed.read(size):
            return piece
        piece, self._tail = self._tail[:size], self._tail[size:]
        return piece


def _require_last_frame(target: Path, name: str) -> None:
    end = target.stat().st_size - len(LAST_TEXT)
    with target.open("r+b") as file:
        file.seek(max(end, 0))
        if file.read() != LAST_TEXT:
            raise UnreadableFile(f"{name} is cut off: upload or download it again.")
        file.truncate(end)


def unpack_zip(path: Path, target: Path) -> str:
    """Write the only file of a zip archive to `target` and return that file's name.

    Raises UnreadableFile when it holds none or several, is protected, damaged or a bomb.
    """
    with damage_named(path), _opened(path) as packed, zipfile.ZipFile(packed) as archive:
        member = the_only_file(archive, path.name)
        with archive.open(member) as source:
            _copy(source, target, packed=max(member.compress_size, 1), name=path.name)
    return PurePosixPath(member.filename).name


def the_only_file(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """The archive's one file, not counting what macOS adds."""
    members = [member for member in archive.infolist() if not _is_clutter(member)]
    if not members:
        raise UnreadableFile(f"{name} is an empty archive: put one contact file into it, or upload the file itself.")
    if len(members) > 1:
        names = ", ".join(member.filename for member in members[:10]) + (", ..." if len(members) > 10 else "")
        raise UnreadableFile(f"{name} holds {len(members)} files ({names}): upload them one at a time.")
    if members[0].flag_bits & 1:
        raise UnreadableFile(f"{name} is protected by a password: upload the file inside it instead.")
    return members[0]


def _is_clutter(member: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(member.filename)
    return member.is_dir() or "__MACOSX" in path.parts or path.name in (".DS_Store", "Thumbs.db")


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Name a cut or damaged archive as such."""
    try:
        yield
    except EOFError as error:
        raise UnreadableFile(f"{path.name} is cut off: upload or download it again.") from error
    except (gzip.BadGzipFile, zlib.error, zstandard.ZstdError, zipfile.BadZipFile) as error:
        raise UnreadableFile(f"{path.name} is damaged and cannot be unpacked ({error}): upload it again.") from error
    except (NotImplementedError, RuntimeError) as error:
        raise UnreadableFile(f"{path.name} is packed in a way that is not supported ({error}).") from error


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as packed:
        begin(Step.UNPACK, path.stat().st_size, look=place_in(packed))
        yield packed


def _copy(source: Readable, target: Path, *, packed: int, name: str) -> int:
    size, allowed = 0, max(ALWAYS_ALLOWED, packed * MOST_EXPANSION)
    with target.open("wb") as out:
        while piece := source.read(PIECE):
            size += len(piece)
            if size > allowed:
                raise UnreadableFile(
                    f"{name} unpacks to more than {allowed // 1024**2:,} MB, {MOST_EXPANSION} times its size or more, "
                    "which no contact file does: it was refused."
                )
            if not disk_space.has_room(target.parent, len(piece)):
                raise disk_is_full(name)
            out.write(piece)
    return size
