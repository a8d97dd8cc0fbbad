"""Encodings told apart on real texts: the folder of each text names the encoding that its collectors found."""

from pathlib import Path

import pytest

from pipelines.contact_files.encoding import detect_encoding
from pipelines.contact_files.received import scan_file

pytestmark = pytest.mark.shared_data


def test_chardet_corpus_is_decoded_as_its_folders_say(shared_data: Path) -> None:
    wrong, seen = {}, 0
    for path in sorted((shared_data / "corpora/chardet").glob("*/*")):
        folder = path.parent.name.removesuffix("-russian")
        # GB18030 and CP949 contain GB2312 and EUC-KR, and texts that claim the smaller one use more of the larger.
        expected = {"GB2312": "gb18030", "EUC-KR": "cp949", "SHIFT_JIS": "cp932", "iso-8859-1": "cp1252"}.get(
            folder, folder
        )
        _, scan = scan_file(path)
        found = detect_encoding(bytes(scan.sample), is_utf8=scan.is_utf8)
        content = path.read_bytes()
        seen += 1
        if content.decode(found, "replace") != content.decode(expected, "replace"):
            wrong[f"{path.parent.name}/{path.name}"] = found
    assert seen == 128
    assert wrong == {}


def test_a_few_german_letters_are_not_taken_for_turkish_ones() -> None:
    text = "Vorname;Nachname;E-Mail;Firma;Ort;Straße\nZoë;Weiß;zoe@weiss.de;Weiß & Söhne;Düsseldorf;Ähre 2\n"
    text += "Jürgen;Müller;j.mueller@exämple.de;Größe GmbH;Köln;Haupt Straße 1\n"
    assert detect_encoding(text.encode("latin-1"), is_utf8=False) == "cp1252"
