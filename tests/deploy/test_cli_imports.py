"""Files in and out through the command line: plan, commit, undo, rejects, export, check."""

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_checks import messages
from deploy import output
from models.permissions import Role
from tests.deploy.command_line import PROJECT, Cli, on_a_terminal, without_colours
from tests.people import person

NUMBERS = ("rows", "created", "updated", "unchanged", "duplicates", "rejected")
PEOPLE = """First Name,Last Name,Email,Company,# Employees
Ann,Archer,ann@example.com,Acme,10
Bob,Baker,bob@example.com,Acme,20
Bob,Baker,bob@example.com,Acme,20
Cid,Carter,not-an-address,Acme,30
Dee,Dunn,dee@example.com,Dunn Ltd,about forty
"""


@pytest.fixture(scope="module")
def checker() -> Iterator[Path]:
    """A home in which the warm checker answers, as beside `up`: without it each import loads the checks anew."""
    home = Path(tempfile.mkdtemp(prefix="appointment360-"))
    process = subprocess.Popen([sys.executable, "-m", "data_checks.gate", "--home", str(home)], cwd=PROJECT)
    while not messages.address(home).exists():
        assert process.poll() is None
        time.sleep(0.05)
    yield home
    process.terminate()
    process.wait()
    shutil.rmtree(home)


@pytest.fixture
def cli(cli: Cli, checker: Path) -> Cli:
    cli.home.mkdir()
    for path in (messages.address(checker), checker / "checks.key"):
        (cli.home / path.name).symlink_to(path)
    return cli


@pytest.fixture
def people(tmp_path: Path) -> Path:
    file = tmp_path / "people.csv"
    file.write_text(PEOPLE)
    return file


def numbers(found: dict[str, int]) -> tuple[int, ...]:
    return tuple(found[name] for name in NUMBERS)


def test_import_undo_and_import_again(cli: Cli, people: Path) -> None:
    made = cli("import", people, "--yes", "--json").object
    assert list(made) == ["import_id", "state", *NUMBERS, "seconds"]
    assert (made["state"], numbers(made)) == ("committed", (5, 3, 0, 0, 1, 1))
    again = cli("import", people, "--yes", "--json").object
    assert (again["state"], numbers(again)) == ("committed", (5, 0, 0, 3, 1, 1))
    identity = str(made["import_id"])
    assert cli("imports", "show", identity, "--json").object == made
    undone = cli("imports", "undo", identity, "--json").object
    assert undone == {"import_id": made["import_id"], "removed": 3, "restored": 0, "kept": 0}
    assert cli("count", "--json").object == {"count": 0}
    assert cli("imports", "undo", identity, "--json").code == 1
    listed = cli("imports", "list", "--json").object["imports"]
    assert [one["state"] for one in listed] == ["committed", "undone"]
    assert {one["file_name"] for one in listed} == {"people.csv"}
    cli("import", people, "--dry-run")
    cli("imports", "cancel", "3", "--yes")
    shown = [line.split("people.csv")[1].split() for line in cli("imports", "list").out.splitlines()[1:]]
    assert shown == [
        ["cancelled", "–", "–", "–"], ["committed", "0", "0", "1"], ["undone", "3", "0", "1"],
    ]  # fmt: skip


def test_an_undo_is_undone_and_what_it_kept_is_listed(cli: Cli, people: Path, tmp_path: Path) -> None:
    identity = str(cli("import", people, "--yes", "--json").object["import_id"])
    changed = tmp_path / "changed.csv"
    changed.write_text("First Name,Last Name,Email,Title\nDee,Dunn,dee@example.com,CEO\n")
    later = cli("import", changed, "--yes", "--json").object
    assert later["updated"] == 1
    assert cli("imports", "undo", identity, "--json").object == {
        "import_id": 1, "removed": 2, "restored": 0, "kept": 1,
    }  # fmt: skip
    [kept] = cli("imports", "kept", identity, "--json").object["kept"]
    [field] = kept["fields"]
    assert (kept["why"], field["field"], field["import"], field["by"]) == ("created", "title", 2, "operator")
    lines = cli("imports", "kept", identity).out.splitlines()
    assert lines[0].startswith("Contact,Name,Why,Field,Stayed,Would be,Changed by")
    assert len(lines) == 2
    told = cli("imports", "kept", identity, "-o", tmp_path / "kept.csv", "--json").object
    assert (told["lines"], told["path"]) == (1, str(tmp_path / "kept.csv"))
    assert cli("imports", "redo", identity, "--json").object == {
        "import_id": 1, "returned": 2, "restored": 0, "kept": 0,
    }  # fmt: skip
    assert cli("count", "--json").object == {"count": 3}
    assert cli("imports", "redo", identity, "--json").code == 1
    assert cli("imports", "show", identity, "--json").object["state"] == "committed"


def test_without_a_terminal_and_yes_it_stops_at_the_plan(cli: Cli, people: Path) -> None:
    planned = cli("import", people)
    assert planned.code == 0
    assert "appointment360 imports resume 1" in planned.err
    assert cli("count").out == "0\n"
    resumed = cli("imports", "resume", "1", "--json").object
    assert (resumed["state"], resumed["created"]) == ("committed", 3)
    twice = cli("imports", "resume", "1", "--json")
    assert (twice.code, twice.object["error"][:28]) == (1, "Import 1 is committed alread")


def test_a_plan_is_given_up(cli: Cli, people: Path) -> None:
    assert cli("import", people, "--dry-run", "--json").object["state"] == "planned"
    assert cli("imports", "cancel", "1", "--json").object == {"import_id": 1, "state": "cancelled"}
    assert not (cli.home / "imports" / "1").exists()
    shown = cli("imports", "show", "1")
    assert shown.out.endswith("It was cancelled, and nothing of it is written.\n")
    for again in ("cancel", "resume"):
        refused = cli("imports", again, "1", "--json")
        assert (refused.code, "Import 1 is cancelled already" in refused.object["error"]) == (1, True)
    assert cli("count").out == "0\n"


def test_dry_run_writes_nothing_even_with_yes(cli: Cli, people: Path) -> None:
    planned = cli("import", people, "--dry-run", "--yes", "--json").object
    assert (planned["state"], planned["created"]) == ("planned", 3)
    assert cli("count", "--json").object == {"count": 0}


def test_a_header_is_mapped_and_another_one_is_not(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "odd.csv"
    file.write_text("First Name,Email,Zzz\nAnn,ann@example.com,Director\n")
    cli("import", file, "--map", "title=Zzz", "--map", "first_name=", "--yes", "--json")
    assert cli.sql("SELECT title, first_name, email, extra FROM contacts") == [
        ("Director", None, "ann@example.com", {"First Name": "Ann"})
    ]
    shown = " ".join(cli("import", file, "--skip", "zzz", "--skip", "First Name", "--dry-run").out.split())
    assert "Left out: First Name, Zzz. They stay in the stored file, and in that of rejected rows." in shown
    assert cli("imports", "resume", "2", "--yes", "--json").object["unchanged"] == 1
    assert "Left out: First Name, Zzz." in cli("imports", "show", "2").out


def test_an_option_that_does_not_fit_the_file_leaves_no_import_to_go_on_with(cli: Cli, people: Path) -> None:
    assert "Nope" in cli("import", people, "--skip", "Nope", "--json").object["error"]
    assert [one["state"] for one in cli("imports", "list", "--json").object["imports"]] == ["cancelled"]
    assert "its plan is gone" in cli("imports", "changes", "1").err


def test_the_plan_for_people(cli: Cli, people: Path) -> None:
    planned = cli("import", people, "--dry-run")
    assert planned.out.startswith("Import 1: people.csv\n")
    assert "rows  created  updated  unchanged  duplicates  rejected" in planned.out
    assert "about forty" in planned.out, "the warning gives its example"
    assert "Nothing is written yet." in planned.out


@pytest.mark.parametrize(("answer", "count"), [("y\n", 3), ("n\n", 0)])
def test_on_a_terminal_it_asks(cli: Cli, people: Path, answer: str, count: int) -> None:
    printed = on_a_terminal(cli, ["import", str(people)], answer)
    assert "Write this to the contacts? [y/N]" in printed
    assert cli("count", "--json").object == {"count": count}


@pytest.mark.parametrize(("answer", "count"), [("y\n", 3), ("n\n", 0)])
def test_resume_shows_the_plan_and_asks(cli: Cli, people: Path, answer: str, count: int) -> None:
    cli("import", people, "--dry-run")
    printed = without_colours(on_a_terminal(cli, ["imports", "resume", "1"], answer))
    assert "created" in printed.partition("Write this to the contacts? [y/N]")[0]
    assert cli("count", "--json").object == {"count": count}


def test_on_a_terminal_nothing_is_wider_than_it(cli: Cli, people: Path) -> None:
    long = people.rename(people.with_name(f"people {'of the spring fair ' * 5}.csv"))
    printed = on_a_terminal(cli, ["import", str(long), "--yes"], "", columns=80)
    printed += on_a_terminal(cli, ["imports", "list"], "", columns=80)
    plain = [line.split("\r")[-1] for line in without_colours(printed).splitlines()]
    assert [line for line in plain if len(line) > 80] == []
    assert any("people" in line and "…" in line and "committed" in line for line in plain), "one line for each import"


def test_rejects_as_a_file_that_can_be_mended(cli: Cli, people: Path, tmp_path: Path) -> None:
    cli("import", people, "--yes")
    target = tmp_path / "rejects.csv"
    assert cli("imports", "rejects", "1", "-o", target, "--json").object == {
        "import_id": 1, "rejected": 1, "path": str(target),
    }  # fmt: skip
    assert cli("imports", "rejects", "1").out == target.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    [listed] = cli("imports", "rejects", "1", "--json").object["rejects"]
    assert (listed["line"], listed["column"], listed["value"]) == (5, "Email", "not-an-address")
    target.write_text(target.read_text().replace("not-an-address", "cid@example.com"))
    mended = cli("import", target, "--yes", "--json").object
    assert numbers(mended) == (1, 1, 0, 0, 0, 0)


def test_the_duplicates_are_told_with_what_they_repeat(cli: Cli, people: Path) -> None:
    assert cli("import", people, "--yes", "--json").object["duplicates"] == 1
    [listed] = cli("imports", "rejects", "1", "--duplicates", "--json").object["rejects"]
    assert (listed["line"], listed["reason"]) == (4, "Line 3 of the file means the same contact.")
    assert listed["cells"][:3] == ["Bob", "Baker", "bob@example.com"]


def test_only_a_file_that_was_opened_is_said_to_be_empty(cli: Cli, tmp_path: Path) -> None:
    empty, header = tmp_path / "empty.csv", tmp_path / "header.csv"
    empty.write_text("")
    header.write_text("Email,First Name\n")
    said = "The file has a header and no rows."
    assert said in cli("import", header, "--dry-run").out
    assert cli("import", empty).code == 1
    assert said not in cli("imports", "show", "2").out


def test_what_cannot_begin_leaves_no_import(cli: Cli, people: Path) -> None:
    ended = cli("import", people, "--map", "emial=Email")
    assert (ended.code, "Did you mean" in ended.err) == (1, True)
    ended = cli("import", people.parent)
    assert (ended.code, "is a folder: name a file in it." in ended.err) == (1, True)
    assert cli("imports", "list", "--json").object == {"imports": []}


def test_the_plan_says_what_is_read_from_where(cli: Cli, people: Path) -> None:
    people.write_text(people.read_text().replace("Company,# Employees", "Company Name,Shoe size"))
    shown = " ".join(cli("import", people, "--dry-run").out.split())
    assert "Read: company from “Company Name”. Change it with --map FIELD=HEADER." in shown
    assert "Kept in extra: Shoe size. Leave one out with --skip HEADER." in shown


@pytest.mark.parametrize("arguments", [["imports", "show", "7"], ["imports", "undo", "7"], ["import", "nowhere.csv"]])
def test_what_does_not_exist(cli: Cli, arguments: list[str]) -> None:
    ended = cli(*arguments, "--json")
    assert ended.code == 1
    assert ended.object["error"].startswith("There is no ")


def test_export_and_its_receipt(cli: Cli, people: Path, tmp_path: Path) -> None:
    cli("import", people, "--yes")
    target = tmp_path / "out.csv"
    made = cli("export", target, "--where", "company=Acme", "--columns", "email,first_name", "--json").object
    assert list(made) == ["export_id", "path", "rows", "bytes", "sha256", "credits", "seconds"]
    assert (made["path"], made["rows"], made["bytes"]) == (str(target), 2, target.stat().st_size)
    with target.open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file)) == [
            ["Email", "First Name"], ["ann@example.com", "Ann"], ["bob@example.com", "Bob"],
        ]  # fmt: skip


def test_export_with_somebodys_rights(cli: Cli, people: Path, tmp_path: Path) -> None:
    cli("import", people, "--yes")
    person(email="ann@example.com", name="Ann", role=Role.ANALYST, column_allowed=("first_name",))
    target = tmp_path / "out.jsonl"
    assert cli("export", target, "--as", "ann@example.com", "--json").object["rows"] == 3
    assert all(set(json.loads(line)) == {"first_name"} for line in target.read_text().splitlines())
    hidden = cli("export", tmp_path / "no.csv", "--as", "ann@example.com", "--columns", "email", "--json")
    assert (hidden.code, hidden.object["error"][:27]) == (1, "You may not see the column ")
    assert not (tmp_path / "no.csv").exists()
    assert cli("users", "deactivate", "ann@example.com").code == 0
    assert cli("export", tmp_path / "no.csv", "--as", "ann@example.com").code == 1


def test_check(cli: Cli, people: Path) -> None:
    cli("import", people, "--yes")
    checked = cli("check", "--json")
    assert checked.code == 0
    assert set(checked.object) == {"success", "rules"}
    assert {frozenset(rule) for rule in checked.object["rules"]} == {
        frozenset({"name", "field", "success", "checked", "failing", "tolerance"})
    }
    assert checked.object["success"] is all(rule["success"] for rule in checked.object["rules"])


def test_check_tells_people_what_is_broken_in_words(cli: Cli, people: Path) -> None:
    cli("import", people, "--yes")
    assert re.fullmatch(r"All \d+ rules hold\.\n", cli("check").out)
    cli.sql("UPDATE contacts SET email = 'nobody' WHERE first_name = 'Bob' RETURNING id")
    printed = cli("check").out
    assert re.search(
        r"^E-mail is an e-mail address\. +email_is_an_address +broken +1 +\d+ +0 %$", printed, re.MULTILINE
    )
    assert re.search(r"^1 of \d+ rules broken\.$", printed, re.MULTILINE)


def test_a_killed_import_goes_on(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "many.csv"
    rows = (f"First{number},Last{number},p{number}@example.com\n" for number in range(20_000))
    file.write_text("First Name,Last Name,Email\n" + "".join(rows))
    process = cli.start("import", str(file), "--yes")
    while not cli.sql("SELECT 1 FROM imports WHERE file_path <> ''"):
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    resumed = cli("imports", "resume", "1", "--json").object
    assert (resumed["state"], resumed["rows"], resumed["created"]) == ("committed", 20_000, 20_000)
    assert cli("count", "--json").object == {"count": 20_000}


def test_progress_says_what_it_counts(capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress() as report:
        report("Reading the file", 340_000_000, 1_000_000_000, "bytes")
        report("Building the indexes", 3_400, 10_000, "share")
        report("Creating contacts", 1_000, 4_000)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "Reading the file 340.0 MB of 1.0 GB", "Building the indexes 34%", "Creating contacts 1,000 of 4,000 rows"
    ]  # fmt: skip


def test_the_rows_behind_a_plan_are_told_with_old_and_new(cli: Cli, people: Path, tmp_path: Path) -> None:
    cli("import", people, "--yes")
    text = people.read_text()
    changed = tmp_path / "changed.csv"
    changed.write_text(text.replace("Ann,", "Ann Sophie Charlotte Wilhelmine,"))
    assert cli("import", changed, "--dry-run", "--match", "email", "--keep-field", "first_name=ours").code == 0
    assert cli("imports", "changes", "2", "--json").object["rows"] == []
    planned = cli("import", changed, "--dry-run", "--match", "email", "--json").object
    [row] = cli("imports", "changes", "3", "--field", "first_name", "--json").object["rows"]
    assert (planned["updated"], row["line"], row["values"]) == (
        1, 2, [{"field": "first_name", "old": "Ann", "new": "Ann Sophie Charlotte Wilhelmine"}],
    )  # fmt: skip
    target = tmp_path / "changes.csv"
    written = cli("imports", "changes", "3", "-o", target, "--json").object
    assert written == {"import_id": 3, "kind": "updated", "field": None, "lines": 1, "path": str(target)}
    printed = on_a_terminal(cli, ["imports", "changes", "3"], "", columns=80)
    assert [line for line in without_colours(printed).splitlines() if len(line.split("\r")[-1]) > 80] == []
    assert "first_name" in printed
    assert "Old is what the contacts hold now." in printed
    cli.sql("UPDATE contacts SET first_name = 'Annie' WHERE first_name = 'Ann'")
    refused = cli("imports", "resume", "3")
    assert (refused.code, "no longer hold" in refused.err, "imports moved 3" in refused.err) == (1, True, True)
    [moved] = cli("imports", "moved", "3", "--json").object["rows"]
    new = "Ann Sophie Charlotte Wilhelmine"
    assert moved["differs"] == [{"field": "first_name", "said": f"Ann → {new}", "now": f"Annie → {new}"}]


def test_a_policy_that_there_is_not_is_refused_with_what_there_is(cli: Cli, people: Path) -> None:
    ended = cli("import", people, "--keep-field", "title=mine")
    assert (ended.code, "theirs, ours, newer, never" in ended.err) == (2, True)
    ended = cli("import", people, "--keep-field", "titel=ours")
    assert (ended.code, "Did you mean “title”?" in ended.err) == (1, True)
    assert cli("imports", "list", "--json").object == {"imports": []}


def odd(folder: Path) -> Path:
    """Forty people whose number of employees is a telephone's: a rule that blocks is broken."""
    file = folder / "odd.csv"
    rows = "".join(f"Ann{number},ann{number}@example.com,5551234567\n" for number in range(40))
    file.write_text(f"Last Name,Email,# Employees\n{rows}")
    return file


def test_what_stands_out_stops_an_import_until_it_is_accepted(cli: Cli, tmp_path: Path) -> None:
    stopped = cli("import", odd(tmp_path), "--yes")
    assert stopped.code == 1
    assert "40 rows break a rule: Employees is between 0 and 5,000,000." in stopped.out
    assert 'appointment360 imports accept 1 --reason "..."' in stopped.err
    assert cli("count").out == "0\n"
    shown = cli("imports", "show", "1", "--json").object
    assert [(one["name"], one["stops"]) for one in shown["findings"]] == [("rule_employees_is_plausible", True)]
    assert shown["accepted"] is None
    assert "To accept what stands out: appointment360 imports accept 1" in cli("imports", "show", "1").err
    again = cli("imports", "resume", "1", "--json")
    assert (again.code, list(again.object)) == (1, ["error"])
    assert cli("imports", "accept", "1").code == 2
    accepted = cli("imports", "accept", "1", "--reason", "they are that large", "--json").object
    assert (accepted["import_id"], accepted["accepted"]["reason"]) == (1, "they are that large")
    assert "To commit it: appointment360 imports resume 1" in cli("imports", "show", "1").err
    assert cli("imports", "resume", "1", "--json").object["created"] == 40
    assert "Accepted by operator" in cli("imports", "show", "1").out
    at_once = cli("import", odd(tmp_path), "--yes", "--json", "--accept-drift", "they are still that large").object
    assert (at_once["state"], at_once["unchanged"]) == ("committed", 40)
