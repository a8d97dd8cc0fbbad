"""Contacts as they were, at the command line."""

from pathlib import Path

from tests.deploy.command_line import Cli


def test_as_of_and_the_difference(cli: Cli, tmp_path: Path) -> None:
    cli.sql("""INSERT INTO contacts (first_name, country, created_at, updated_at) VALUES
        ('Ann', 'Germany', '2026-01-05', '2026-01-05'), ('Bob', 'France', '2026-01-05', '2026-01-05')""")
    cli.sql("UPDATE contacts SET country = 'Germany', updated_at = now() WHERE first_name = 'Bob'")
    cli.sql("INSERT INTO contacts (first_name, country) VALUES ('Cid', 'Germany')")
    germany = ("--where", "country=Germany")
    assert cli("count", *germany, "--json").object == {"count": 3}
    assert cli("count", *germany, "--as-of", "2026-01-05", "--json").object == {"count": 1}
    too_early = cli("count", "--as-of", "2026-01-04", "--json")
    assert (too_early.code, too_early.object["error"].partition(":")[0]) == (
        1, "There were no contacts yet as of the end of 2026-01-04 (UTC)",
    )  # fmt: skip
    export = cli("export", str(tmp_path / "then.csv"), "--as-of", "2026-01-05", "--columns", "first_name,country")
    assert export.out.startswith("2 contacts, as of the end of 2026-01-05 (UTC), in ")
    assert (tmp_path / "then.csv").read_text("utf-8-sig").splitlines() == [
        "First Name,Country",
        "Ann,Germany",
        "Bob,France",
    ]
    difference = ("difference", *germany, "--from", "2026-01-05")
    assert cli(*difference, "--to", "now", "--json").object == {"came": 2, "left": 0, "changed": 0}
    told = cli(*difference, "-o", str(tmp_path / "difference.csv"))
    assert told.out.splitlines()[:2] == [
        "Country is Germany, from the end of 2026-01-05 (UTC) to now:",
        "2 came into it, 0 left it, 0 changed in it.",
    ]
    assert "came,2,Country,France,Germany" in (tmp_path / "difference.csv").read_text().splitlines()
    wrong = cli("difference", "--from", "soon", "--json")
    assert (wrong.code, wrong.object["error"].partition(":")[0]) == (1, "--from=soon")
