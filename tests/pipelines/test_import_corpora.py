"""Public collections of difficult files through whole imports: numbers that add up, or a sentence; nothing else."""

import csv
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from models import import_acceptances, imports
from models.contacts import emails
from models.contacts.blanks import is_empty, trimmed
from models.errors import AppError
from models.fields import Kind
from models.filters import Filters
from models.import_acceptances import NotAccepted
from models.imports import MatchRule, State
from models.permissions import OPERATOR
from models.spreadsheet_formulas import unmarked
from pipelines import export_contacts, import_contacts, import_steps
from tests.pipelines import importing
from tests.pipelines.importing import contacts, imported, numbers, rejected, sql, written

pytestmark = pytest.mark.shared_data
CORPORA = {
    "csv-spectrum/csvs": 12, "csv-test-data/csv": 0, "datablist-broken/broken_csv": 12, "pollock/csv": 71,
    "duckdb-csv": 144, "papaparse/tests": 5, "xlsx-calamine": 0,
}  # fmt: skip


@pytest.mark.parametrize("corpus", CORPORA)
def test_every_file_ends_with_numbers_or_a_sentence(
    base: str, shared_data: Path, corpus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the quality check, which has tests of its own and takes longer than such a file's rows."""
    monkeypatch.setitem(import_contacts.STEPS, State.STAGED, import_steps.plan)
    folder = shared_data / "corpora" / corpus
    pattern = "*" if corpus in ("duckdb-csv", "xlsx-calamine") else "*.csv"
    files = sorted(path for path in folder.rglob(pattern) if path.is_file() and "expected-fixed" not in path.parts)
    assert len(files) >= max(CORPORA[corpus], 10 if "test-data" in corpus or "xlsx" in corpus else 1)
    committed = 0
    for path in files:
        import_id = importing.created(path)
        refusal = None
        try:
            _run_whatever_stands_out(import_id)
        except AppError as error:
            refusal = error.sentence
        found = imports.get(import_id, by=OPERATOR)
        if refusal is not None:
            assert refusal.endswith((".", "?")), (path.name, refusal)
            assert (found.state, found.error) == (State.FAILED, refusal), path.name
            continue
        committed += 1
        told = numbers(found)
        assert (found.state, told[0]) == (State.COMMITTED, sum(told[1:])), path.name
        [(stored,)] = sql("SELECT count(*) FROM contacts WHERE import_id = %s", import_id)
        assert stored == found.created + found.updated, path.name
        refused = len(rejected(import_id)) + len(rejected(import_id, "duplicate"))
        assert refused == found.rejected + found.duplicates, path.name
    assert committed > len(files) / 2


def naughty(shared_data: Path) -> list[str]:
    strings = json.loads((shared_data / "corpora/blns/blns.json").read_text(encoding="utf-8"))
    folder = shared_data / "corpora/csv-injection-payloads"
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix in (".txt", "")]
    texts = [path.read_text(encoding="utf-8") for path in files if path.name != "LICENSE"]
    payloads = [line for text in texts for line in text.splitlines()]
    assert len(strings) > 500
    assert len(payloads) > 5
    return [*strings, *payloads]


def stored(text: str) -> str | None:
    """What the specification keeps of a text: no blanks around it, nothing for words that mean nothing."""
    bare = trimmed(text.replace("\0", ""))
    return None if is_empty(Kind.TEXT, bare) else trimmed(unmarked(bare))


def test_naughty_strings_come_in_and_go_out_as_they_are(base: str, shared_data: Path, tmp_path: Path) -> None:
    strings = naughty(shared_data)
    rows = [
        {"First Name": one, "Company": one, "Notes": one, "Odd": one, "Email": f"n{number}@example.com"}
        for number, one in enumerate(strings)
    ]
    found = imported(written(tmp_path, rows))
    assert numbers(found) == (len(rows), len(rows), 0, 0, 0, 0)
    for one, text in zip(contacts(), strings, strict=True):
        kept = [one.get("first_name"), one.get("company"), one.get("notes"), one.get("extra", {}).get("Odd")]
        assert kept == [stored(text)] * 4, text
    export_contacts.export(tmp_path / "out.csv", filters=Filters(), columns=None, by=OPERATOR)
    assert numbers(imported(tmp_path / "out.csv")) == (len(rows), 0, 0, len(rows), 0, 0)


def isemail_cases(shared_data: Path) -> list[tuple[str, str]]:
    """(address, category) of isemail's own tests."""
    [path] = (shared_data / "corpora/isemail").rglob("tests.xml")
    cases = []
    for test in ElementTree.parse(path).getroot().iter("test"):
        address = test.findtext("address") or ""
        plain = "".join(chr(ord(one) - 0x2400) if 0x2400 <= ord(one) <= 0x2420 else one for one in address)
        cases.append((plain, test.findtext("category") or ""))
    return cases


def test_isemails_errors_are_refused_and_its_valid_ones_accepted(base: str, shared_data: Path, tmp_path: Path) -> None:
    cases = [(address, category) for address, category in isemail_cases(shared_data) if address.strip("\0 \r\n\t")]
    path = tmp_path / "mails.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["First Name", "Email"])
        writer.writerows([f"P{number}", address] for number, (address, _) in enumerate(cases))
    found = imported(path, match=MatchRule.NONE)
    accepted = {one["first_name"] for one in contacts() if "email" in one}
    assert found.created + found.rejected == len(cases)
    wrong = [
        (address, category)
        for number, (address, category) in enumerate(cases)
        if (category == "ISEMAIL_ERR" and f"P{number}" in accepted and not mended(address))
        or (category in ("ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN") and f"P{number}" not in accepted)
    ]
    assert wrong == []


def mended(address: str) -> bool:
    """Blanks around an address, which isemail calls an error, are none of it in a file; nor is a second address."""
    first = trimmed(address.replace("\0", "").split(",")[0].split(";")[0])
    return first != address and emails.problem(emails.normalised(first)) is None


def _run_whatever_stands_out(import_id: int) -> None:
    """The files of a corpus have the same columns, and else nothing in common."""
    try:
        import_contacts.run(import_id, by=OPERATOR)
    except NotAccepted:
        import_acceptances.accept(import_id, "another file", by=OPERATOR)
        import_contacts.run(import_id, by=OPERATOR)
