"""Views at the command line, the commands as processes of their own."""

from pathlib import Path

import pytest

from models import filters, view_changes
from models.permissions import Role
from tests.deploy.command_line import Cli
from tests.people import person

CONTACTS = """INSERT INTO contacts (first_name, email, country, employees) VALUES
    ('Ann', 'ann@example.com', 'Germany', 10), ('Bob', 'bob@example.com', 'Germany', 200),
    ('Cid', 'cid@example.com', 'France', 30)"""


def test_a_view_from_its_first_to_its_last_day(cli: Cli, tmp_path: Path) -> None:
    cli.sql(CONTACTS)
    made = cli(
        "views", "save", "Leads", "--where", "country=Germany", "--columns", "email,country", "--order", "-employees",
        "--json",
    ).object  # fmt: skip
    assert made | {"id": 0} == {
        "id": 0, "name": "Leads", "shared": False, "mine": True, "owner": "operator", "filter": "country=Germany",
        "sentence": "Country is Germany", "columns": ["email", "country"], "order": "-employees", "problem": None,
        "last_used": None, "count": 2,
    }  # fmt: skip
    assert cli("count", "--view", "leads").out == "2\n"
    assert cli("count", "--view", "LEADS", "--where", "employees.gte=50", "--json").object == {"count": 1}
    conflicting = cli("count", "--view", "leads", "--where", "country=France", "--json")
    assert conflicting.object["error"].startswith("No contact can match both “Country is Germany” and")
    assert (conflicting.code, cli("count", "--view", "leeds", "--json").object) == (
        1, {"error": "There is no view “leeds”. Did you mean “Leads”?"},
    )  # fmt: skip

    file = tmp_path / "out.csv"
    exported = cli("export", file, "--view", "leads", "--json").object
    assert (exported["rows"], exported["view"]) == (2, "Leads")
    assert file.read_text("utf-8-sig").splitlines()[0] == "Email,Country"
    cli("export", file, "--view", "leads", "--columns", "first_name", "--where", "employees=10")
    assert file.read_text("utf-8-sig").split() == ["First", "Name", "Ann"]

    changed = cli("views", "save", "LEADS", "--view", "leads", "--where", "employees.gte=50", "--json").object
    assert (changed["id"], changed["count"], changed["columns"]) == (made["id"], 1, ["email", "country"])
    assert cli("views", "undo", "leads", "--json").object["filter"] == "country=Germany"
    assert cli("views", "rename", "leads", "German leads").out == "The view is called “German leads” now.\n"
    assert cli("views", "share", "german leads", "--json").object["shared"] is True
    listed = cli("views", "list").out
    assert "German leads  own, shared         2  Country is Germany" in listed
    assert cli("views", "show", "german leads").code == 0
    assert cli("views", "delete", "german leads", "--json").object["deleted"] is True
    assert cli("views", "list", "--json").object == {"views": []}
    assert cli("views", "list", "--deleted", "--json").object["views"][0]["name"] == "German leads"
    assert cli("views", "restore", "german leads").out == "“German leads” is back.\n"


def test_in_a_persons_name_it_is_that_persons_view(cli: Cli, tmp_path: Path) -> None:
    cli.sql(CONTACTS)
    ann = person(
        email="ann@example.com", name="Ann", role=Role.ANALYST, column_allowed=("first_name", "country")
    ).actor()
    view_changes.save("Leads", filters=filters.parse(["country=Germany"], by=ann), by=ann)
    cli("views", "save", "LEADS", "--where", "employees.gte=20", "--columns", "first_name,email", "--shared")
    assert cli("count", "--view", "leads").out == "2\n"
    file = tmp_path / "out.csv"
    assert cli("export", file, "--view", "leads", "--as", "ann@example.com", "--json").object["rows"] == 2
    assert file.read_text("utf-8-sig").splitlines() == ["First Name,Country", "Ann,Germany", "Bob,Germany"]
    cli("views", "rename", "leads", "Big ones")
    refused = cli("export", file, "--view", "big ones", "--as", "ann@example.com", "--json").object["error"]
    assert refused == "The view “Big ones” cannot be used: You may not see the column Employees: " + (
        "an administrator can allow it."
    )
    listed = cli("views", "list", "--as", "ann@example.com", "--json").object["views"]
    assert [(one["name"], one.get("count"), one["filter"]) for one in listed] == [
        ("Leads", 2, "country=Germany"), ("Big ones", None, None),
    ]  # fmt: skip


def test_a_schedule_is_set_up_run_paused_and_ended(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.sql(CONTACTS)
    person(email="ann@example.com", name="Ann", role=Role.ANALYST)
    place = tmp_path / "out"
    place.mkdir()
    ann = ("--as", "ann@example.com")
    cli("views", "save", "Leads", "--where", "country=Germany", "--columns", "email", *ann)
    asked = ("views", "schedule", "leads", "--every", "weekday", "--to", place, "--time-zone", "Europe/Berlin", *ann)
    assert "names folders or s3:// prefixes in APPOINTMENT360_EXPORT_ROOTS" in cli(*asked, "--json").object["error"]
    monkeypatch.setenv("APPOINTMENT360_EXPORT_ROOTS", str(place))
    made = cli(*asked, "--json").object
    assert (made["view"], made["owner"], made["when"], made["cron"]) == (
        "Leads", "Ann", "At 06:00 on Monday through Friday, Europe/Berlin", "0 6 * * 1-5"
    )  # fmt: skip
    done = cli("views", "run", "leads", *ann, "--json").object
    assert done["state"] == "done"
    assert Path(done["file"]).read_text("utf-8-sig").splitlines() == ["Email", "ann@example.com", "bob@example.com"]
    assert cli.sql("SELECT x.view_name, x.credits, u.email FROM exports x JOIN users u ON u.id = x.created_by") == [
        ("Leads", 2, "ann@example.com")
    ]
    [listed] = cli("views", "schedules", "--json").object["schedules"]
    assert (listed["last"]["state"], listed["last"]["file"], listed["active"]) == ("done", done["file"], True)
    assert cli("views", "pause", "leads", *ann).out == "“Leads” rests.\n"
    cli("views", "schedule", "leads", "--every", "week", "--to", place, *ann)
    several = cli("views", "unschedule", "leads", *ann, "--json")
    assert several.object["error"] == "The view “Leads” has 2 schedules: say which with --id 1 or --id 2."
    assert cli("views", "unschedule", "leads", "--id", "1", *ann, "--json").object["ended"] is True
    place.rename(tmp_path / "gone")
    failed = cli("views", "run", "leads", *ann, "--json")
    assert (failed.code, failed.object["error"]) == (
        1, f"There is no folder {place}: make it, or name another one."
    )  # fmt: skip
    assert f"failed: There is no folder {place}" in cli("views", "schedules").out
    assert cli("views", "unschedule", "leads", *ann).code == 0
    assert cli("views", "schedules", "--json").object == {"schedules": []}
    assert "has no such schedule" in cli("views", "run", "leads", *ann, "--json").object["error"]


@pytest.mark.parametrize("wrong", [["views"], ["views", "save"], ["views", "rename", "x"], ["views", "share"]])
def test_wrong_usage(cli: Cli, wrong: list[str]) -> None:
    assert cli(*wrong, "--json").code == 2
