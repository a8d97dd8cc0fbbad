"""Mappings and watched folders at the command line."""

import os
from pathlib import Path

import pytest

from tests.deploy.command_line import Cli
from tests.deploy.test_cli_imports import checker, cli  # noqa: F401  # fixtures

ROWS = "Vorname;Nachname;Mail-Adresse;Firma\nAnn;Archer;ann@x.example;Acme\n"
AGAIN = "FIRMA;mail adresse;nachname;vorname\nAcme;bob@x.example;Baker;Bob\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "in"
    place.mkdir()
    return place


def test_a_mapping_comes_back_and_is_named(cli: Cli, tmp_path: Path) -> None:  # noqa: F811
    for name, text in (("a.csv", ROWS), ("b.csv", AGAIN)):
        (tmp_path / name).write_text(text)
    first = ("import", tmp_path / "a.csv", "--map", "notes=Firma", "--keep", "ours", "--yes")
    assert cli(*first).code == 0
    told = cli("import", tmp_path / "b.csv", "--dry-run").out
    assert "Mapped as last time: a.csv. Rules: match auto, keep ours." in told
    assert "notes from “FIRMA”" in told
    [kept] = cli("mappings", "list", "--json").object["mappings"]
    assert (kept["name"], kept["file_name"], kept["fields"]["notes"]) == (None, "a.csv", "Firma")
    assert cli("mappings", "rename", str(kept["mapping_id"]), "Our CRM").out == "Mapping 1 is called “Our CRM” now.\n"
    shown = cli("mappings", "show", "our crm")
    assert "Firma         notes" in shown.out
    others = ("--keep", "theirs", "--keep-field", "last_name=ours")
    named = cli("import", tmp_path / "b.csv", "--mapping", "Our CRM", *others, "--dry-run").out
    assert "Mapped by “Our CRM”. Rules: match auto, keep theirs, last_name ours." in named
    missing = cli("import", tmp_path / "b.csv", "--mapping", "CRM", "--json")
    assert (missing.code, missing.object) == (
        1, {"error": "There is no mapping “CRM”. Mappings with a name: “Our CRM”."},
    )  # fmt: skip
    assert cli("mappings", "delete", "Our CRM", "--json").object == {"mapping_id": 1, "deleted": True}
    assert cli("mappings", "list").out == "No mapping is remembered yet: the first import that is committed is.\n"


def test_a_folder_is_watched(cli: Cli, folder: Path) -> None:  # noqa: F811
    (folder / "a.csv").write_text(ROWS)
    os.utime(folder / "a.csv", (1, 1))
    added = cli("watch", "add", "Leads", folder, "--schedule", "weekday", "--keep", "ours", "--json").object
    assert (added["place"], added["schedule"], added["rules"], added["commits"], added["owner"]) == (
        str(folder), "0 6 * * 1-5", {"keep": "ours"}, False, "operator",
    )  # fmt: skip
    assert cli("watch", "look", "leads", "--json").object == {
        "folder_id": 1, "imports": [1], "known": 0, "growing": 0, "failed": 0,
    }  # fmt: skip
    assert cli("watch", "look", "Leads").out == "Nothing new (1 known, 0 growing, 0 failed).\n"
    assert [one["outcome"] for one in cli("watch", "show", "1", "--json").object["seen"]] == ["under way"]
    set_ = cli("watch", "set", "Leads", "--paused", "--commit", "--schedule", "30 7 * * 1").out
    assert set_ == "“Leads”: paused, At 07:30 on Monday, UTC.\n"
    folder.rename(folder.with_name("gone"))
    failed = cli("watch", "look", "Leads")
    assert (failed.code, "There is no folder" in failed.err) == (1, True)
    wrong = cli("watch", "add", "Other", folder, "--schedule", "often")
    assert (wrong.code, "“often” is no schedule" in wrong.err) == (1, True)
    assert cli("watch", "remove", "Leads", "--json").object == {"folder_id": 1, "removed": True}
    assert cli("watch", "list", "--json").object == {"folders": []}
