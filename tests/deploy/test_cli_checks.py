"""The quality of the data from the command line."""

from pathlib import Path

from tests.deploy.command_line import Cli


def test_a_check_its_report_and_what_stops_imports(cli: Cli) -> None:
    cli.sql("INSERT INTO contacts (first_name, email) VALUES ('Ann', 'ann at example.com')")
    wrong = cli("check", "--report", cli.home / "quality.pdf")
    assert (wrong.code, "let it end in .html or .csv" in wrong.err) == (1, True)
    assert "There is no folder" in cli("check", "--report", cli.home / "nowhere" / "quality.html").err
    report = cli.home.parent / "quality.html"
    found = cli("check", "--report", report, "--json").object
    assert found["success"] is False
    assert {
        "name": "email_is_an_address", "field": "email", "success": False, "checked": 1, "failing": 1, "tolerance": 1.0,
    } in found["rules"]  # fmt: skip
    assert {tuple(one) for one in found["rules"]} == {
        ("name", "field", "success", "checked", "failing", "tolerance")
    }  # fmt: skip
    assert "E-mail is an e-mail address." in report.read_text()

    assert cli("count", "--where", "check=email_is_an_address", "--json").object == {"count": 1}
    listed = {one["name"]: one for one in cli("checks", "list", "--json").object["rules"]}
    assert (listed["email_is_an_address"]["filter"], listed["email_is_an_address"]["blocks"]) == (
        "check=email_is_an_address", True,
    )  # fmt: skip
    [run] = cli("checks", "runs", "--json").object["runs"]
    assert (run["state"], run["contacts"], run["broken"]) == ("done", 1, 1)

    assert cli("checks", "block", "title_is_not_too_long", "--json").object == {
        "name": "title_is_not_too_long", "blocks": True,
    }  # fmt: skip
    assert "There is no rule “nonsense”" in cli("checks", "unblock", "nonsense").err
    assert cli.sql("SELECT name, blocks FROM check_switches") == [("title_is_not_too_long", True)]
    # Each is timed by its name alone, also those that failed while the database was there.
    timed = cli.sql("SELECT operation, sum(times), sum(failed) FROM timings WHERE kind = 'command' GROUP BY operation")
    assert {name: (int(times), int(failed)) for name, times, failed in timed} == {
        "check": (1, 0), "count": (1, 0), "checks list": (1, 0), "checks runs": (1, 0), "checks block": (1, 0),
        "checks unblock": (1, 1),
    }  # fmt: skip
    [flow] = cli.sql("SELECT DISTINCT operation FROM statement_timings WHERE kind = 'flow'")
    assert flow == ("validate-contacts",)


def test_values_that_rules_tolerate_are_said_with_a_plan(cli: Cli, tmp_path: Path) -> None:
    sizes = [10] * 199 + [5_551_234_567]
    file = tmp_path / "sizes.csv"
    file.write_text("Last Name,# Employees\n" + "".join(f"Archer{at},{size}\n" for at, size in enumerate(sizes)))
    lines = cli("import", file, "--dry-run").out.splitlines()
    begin = lines.index("Values that checks tolerate:")
    assert lines[begin + 2].split() == ["employees_is_plausible", "employees", "1"]


def test_values_that_rules_tolerate_are_said(cli: Cli) -> None:
    cli.sql("INSERT INTO contacts (last_name, employees) SELECT 'Archer', 50 FROM generate_series(1, 199)")
    cli.sql("INSERT INTO contacts (last_name, employees) VALUES ('Baker', -5)")
    said = cli("check").out
    assert "hold. 1 of them holds only within the tolerance: 1 failing value." in said
    [line] = [one for one in said.splitlines() if "employees_is_plausible" in one]
    assert line.split()[-5:] == ["tolerated", "1", "200", "1", "%"]
    first = cli("checks", "list").out.splitlines()[1]
    assert first.split() == ["employees_is_plausible", "contacts", "tolerated", "1", "200", "1", "%", "yes"]
    [run] = cli("checks", "runs", "--json").object["runs"]
    assert (run["broken"], run["tolerated"]) == (0, 1)
