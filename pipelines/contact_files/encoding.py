"""Which encoding a text file is in, and the text as UTF-8."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import chardet

from models.import_progress import Step
from pipelines.contact_files.received import ByteScan, blocks
from pipelines.watched import Meter, begin

BOMS = {
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
    b"\xef\xbb\xbf": "utf-8-sig",
}
UTF8 = ("utf-8", "utf-8-sig")
PERSON_NAMES = {"cp1252": "Windows-1252", "cp1250": "Windows-1250", "cp1251": "Windows-1251", "cp932": "Shift-JIS"}
PERSON_NAMES |= {"cp949": "Korean (EUC-KR)", "gb18030": "Chinese (GB18030)", "mac_roman": "Mac Roman"}
# Each of these is a superset of the one found, and what programs mean when they write its name.
SUPERSETS = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949"}
SUPERSETS |= {"shift_jis": "cp932", "shift_jis_2004": "cp932", "iso8859-9": "cp1254", "big5": "cp950"}
# Encodings of Latin letters, which detectors confuse: a few accents say little. Judged by plausibility instead.
LATIN = {
    "cp1250",
    "cp1252",
    "cp1254",
    "cp1257",
    "cp1258",
    "cp437",
    "cp850",
    "cp852",
    "cp858",
    "cp775",
    "cp861",
    "cp865",
}
LATIN |= {"mac-roman", "mac-latin2", "mac-iceland", "mac-turkish", "mac-croatian", "mac-romanian"}
LATIN |= {"cp857", "cp860", "cp863", "hp-roman8", "cp037", "cp500", "cp1006", "cp1140"}
LATIN |= {f"iso8859-{part}" for part in (1, 2, 3, 4, 9, 10, 13, 14, 15, 16)}
CANDIDATES = ("cp1252", "mac_roman", "cp850", "cp1250", "iso8859-1")


@dataclass(frozen=True)
class Text:
    """A text file as UTF-8: its path, the counts of that path's bytes, what it was decoded from, U+FFFD put in."""

    path: Path
    scan: ByteScan
    encoding: str
    replaced: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about the decoding."""
        if self.replaced == 0 and self.encoding in UTF8:
            return ()
        notes = [f"Decoded from {PERSON_NAMES.get(self.encoding, self.encoding.upper())}."]
        if self.replaced:
            notes.append(f"{self.replaced} characters could not be decoded and are shown as \ufffd.")
        return tuple(notes)


def as_utf8(path: Path, scan: ByteScan, folder: Path) -> Text:
    """The file itself when it is UTF-8, else a copy in `folder` decoded as a stream."""
    encoding = detect_encoding(bytes(scan.sample), is_utf8=scan.is_utf8)
    if encoding in UTF8 and scan.is_utf8:
        return Text(path, scan, encoding)
    return _transcode(path, folder / "text.utf8", encoding)


def detect_encoding(sample: bytes, *, is_utf8: bool) -> str:
    """The Python codec for a file with this sample; `is_utf8` says that the whole file is valid UTF-8."""
    for bom, encoding in BOMS.items():
        if sample.startswith(bom):
            return encoding
    if wide := _utf16_without_bom(sample):
        return wide
    if is_utf8 or _is_utf8_with_damage(sample):
        return "utf-8"
    return _detect_legacy(sample)


def _utf16_without_bom(sample: bytes) -> str | None:
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    half = max(len(sample) // 2, 1)
    if odd > half * 0.2 and even < odd / 5:
        return "utf-16-le"
    if even > half * 0.2 and odd < even / 5:
        return "utf-16-be"
    return None


def _is_utf8_with_damage(sample: bytes) -> bool:
    """One broken byte among many proper UTF-8 letters is damage, not another encoding."""
    text = sample.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    proper = sum(1 for character in text if character > "\x7f") - broken
    return proper > 10 * broken


def _detect_legacy(sample: bytes) -> str:
    lines = b"\n".join(line for line in re.split(rb"[\r\n]+", sample) if not line.isascii())
    found = chardet.detect(lines)["encoding"] or "cp1252"
    name = codecs.lookup(found).name
    if name in LATIN:
        return min(CANDIDATES, key=lambda candidate: implausible(lines, candidate))
    return SUPERSETS.get(name, name)


SYMBOL_IN_WORD = re.compile(
    r"(?<=[^\W\d_])[^\w\s\-–—'’.,;:!?\"/&@()|](?=[^\W\d_])|[³¹¿¡¥£þÞ](?=[a-z])|(?<=[a-z])[³¹¿¡¥£]"
)
CAPITAL_IN_WORD = re.compile(r"(?<=[a-zß-öø-ÿ])[À-ÖØ-ÞŸŠŽŒ]")
CONTROLS = re.compile("[\x80-\x9f\x00-\x08]")
CARONS = re.compile("[šžŠŽ]")
CZECH_IN_WESTERN = re.compile("[øìùèïòØÌÈÏ]")
RARE_IN_CENTRAL = re.compile("[ŕĺńĹŔŃ]")


def implausible(sample: bytes, encoding: str) -> int:
    """How many characters stand where no European writer puts them, were the bytes in this encoding."""
    try:
        text = sample.decode(encoding)
    except UnicodeDecodeError:
        return len(sample) + 1
    count = sum(len(pattern.findall(text)) for pattern in (SYMBOL_IN_WORD, CAPITAL_IN_WORD, CONTROLS))
    if encoding == "cp1252" and CARONS.search(text):
        count += len(CZECH_IN_WESTERN.findall(text))
    if encoding == "cp1250":
        count += len(RARE_IN_CENTRAL.findall(text))
    return count


def _transcode(path: Path, target: Path, encoding: str) -> Text:
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    scan, replaced, meter = ByteScan(), 0, begin(Step.SCAN, path.stat().st_size)
    with target.open("wb") as out:
        for text in filter(None, _decoded(path, decoder, meter)):
            replaced += text.count("\ufffd")
            # UTF-16 can hold halves of a pair, which UTF-8 cannot.
            block = text.encode("utf-8", "replace")
            scan.add(block)
            out.write(block)
    return Text(target, scan.finish(), encoding, replaced)


def _decoded(path: Path, decoder: codecs.IncrementalDecoder, meter: Meter) -> Iterator[str]:
    for block in blocks(path):
        meter.done += len(block)
        yield decoder.decode(block)
    yield decoder.decode(b"", True)
