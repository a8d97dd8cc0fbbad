"""One pass over a file's bytes: checksum, size, and what decides how its lines can be read."""

import codecs
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from models.import_progress import Step
from pipelines.watched import begin

BLOCK = 1024 * 1024  # looked at several times while it is in the processor's cache
HEAD = 256 * 1024
SAMPLE = 512 * 1024
AROUND = 32 * 1024
WINDOW = 1024 * 1024


def blocks(path: Path) -> Iterator[bytes]:
    """The file's bytes in blocks of 1 MB."""
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK):
            yield block


@dataclass
class ByteScan:
    """Counts over a stream of bytes, fed block by block with `add` and closed with `finish`."""

    size: int = 0
    newlines: int = 0
    carriage_returns: int = 0
    crlf: int = 0
    nuls: int = 0
    is_utf8: bool = True
    has_huge_line: bool = False
    sample: bytearray = field(default_factory=bytearray)
    last_byte: bytes = b""
    _decoder: codecs.IncrementalDecoder = field(default_factory=codecs.getincrementaldecoder("utf-8"))

    def add(self, block: bytes) -> None:
        """Take the next block into account."""
        self.newlines += block.count(b"\n")
        # A line of 2 MB or more fills at least one whole window.
        starts = range(0, len(block) - WINDOW + 1, WINDOW)
        self.has_huge_line |= any(block.find(b"\n", start, start + WINDOW) < 0 for start in starts)
        self._count_carriage_returns(block)
        self.nuls += block.count(0)
        if self.is_utf8:
            self._decode(block)
        self._keep_sample(block)
        self.size += len(block)
        self.last_byte = block[-1:]

    def finish(self) -> "ByteScan":
        """Close the count: a character cut at the very end makes the bytes no UTF-8."""
        if self.is_utf8:
            self._decode(b"", final=True)
        return self

    def _count_carriage_returns(self, block: bytes) -> None:
        if self.last_byte == b"\r" and block[:1] == b"\n":
            self.crlf += 1
        if count := block.count(b"\r"):
            self.carriage_returns += count
            self.crlf += block.count(b"\r\n")

    def _decode(self, block: bytes, final: bool = False) -> None:
        try:
            self._decoder.decode(block, final)
        except UnicodeDecodeError:
            self.is_utf8 = False

    def _keep_sample(self, block: bytes) -> None:
        """Keep the head, and text around later non-ASCII bytes: a name in line 900,000 may decide the encoding."""
        if self.size < HEAD:
            self.sample += block[: HEAD - self.size]
        elif len(self.sample) < SAMPLE and not block.isascii():
            at = next(i for i, byte in enumerate(block) if byte > 127)
            self.sample += b"\n" + block[max(0, at - AROUND) : at + AROUND]

    @property
    def lines(self) -> int:
        """Physical lines when every line ends in LF or CRLF."""
        return self.newlines + (self.size > 0 and self.last_byte != b"\n")

    @property
    def has_plain_line_ends(self) -> bool:
        """Whether all line ends are LF, or all are CRLF."""
        return self.carriage_returns == 0 or self.carriage_returns == self.crlf == self.newlines


@dataclass(frozen=True)
class Checksum:
    """SHA-256 (hexadecimal) and length of the file as given."""

    sha256: str
    bytes: int


def scan_file(path: Path) -> tuple[Checksum, ByteScan]:
    """Read the file once. The checksum runs in its own thread, since hashing releases the interpreter lock."""
    digest, scan, meter = hashlib.sha256(), ByteScan(), begin(Step.SCAN, path.stat().st_size)
    with ThreadPoolExecutor(1) as hashing:
        pending = None
        for block in blocks(path):
            if pending is not None:
                pending.result()
            pending = hashing.submit(digest.update, block)
            scan.add(block)
            meter.done += len(block)
        if pending is not None:
            pending.result()
    return Checksum(digest.hexdigest(), scan.size), scan.finish()


def checksum(path: Path) -> Checksum:
    """SHA-256 and size alone, for formats that are not read as text."""
    digest, meter = hashlib.sha256(), begin(Step.SCAN, path.stat().st_size)
    for block in blocks(path):
        digest.update(block)
        meter.done += len(block)
    return Checksum(digest.hexdigest(), meter.done)
