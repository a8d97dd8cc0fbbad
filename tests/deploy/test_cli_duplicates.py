"""`appointment360 duplicates` as real processes, on a real database."""

from models.contacts import records
from models.permissions import OPERATOR
from tests.deploy.command_line import Cli

ZOE = {"first_name": "Zoe", "last_name": "Miller", "email": "zoe@acme.example", "company": "Acme"}


def test_found_merged_and_taken_apart(cli: Cli) -> None:
    one = records.create(ZOE, by=OPERATOR)
    other = records.create(ZOE | {"title": "Buyer", "email": "zoe@acme.example"}, anyway=True, by=OPERATOR)
    found = cli("duplicates", "find", "--json").object
    assert (found["state"], found["contacts"], found["pairs"], found["clusters"]) == ("done", 2, 1, 1)
    [pair] = cli("duplicates", "list", "--json").object["pairs"]
    assert (pair["contacts"], pair["names"], pair["state"]) == ([one, other], ["Zoe Miller", "Zoe Miller"], "open")
    ways = [f"appointment360 duplicates {command} {one} {other}\n" for command in ("show", "merge")]
    told = cli("duplicates", "list").err
    assert [way in told for way in ways] == [True, True]
    shown = cli("duplicates", "show", str(one), str(other)).out
    assert "the same name" in shown
    assert "* Buyer" in shown
    merged = cli("duplicates", "merge", str(one), str(other), "--into", str(one), "--json").object
    assert (merged["contact_id"], merged["merged"]) == (one, [other])
    assert records.get(one, by=OPERATOR).values["title"] == "Buyer"
    assert "Zoe Miller" in cli("duplicates", "list", "--state", "merged").out
    apart = cli("duplicates", "unmerge", str(merged["merge_id"]), "--json").object
    assert (apart["restored"], apart["kept"]) == ([other], [])


def test_kept_apart_and_what_is_refused(cli: Cli) -> None:
    ids = [str(records.create(ZOE, anyway=True, by=OPERATOR)) for _ in range(2)]
    assert "not the same" in cli("duplicates", "not-same", *ids).out
    assert cli("duplicates", "list", "--state", "not-same", "--json").object["total"] == 1
    assert cli("duplicates", "not-same", *ids, "--withdraw", "--json").object["state"] == "open"
    wrong = cli("duplicates", "merge", *ids, "--take", "email", "--json")
    assert (wrong.code, "write FIELD=ID" in wrong.object["error"]) == (2, True)
    alone = cli("duplicates", "merge", ids[0], "--json")
    assert (alone.code, "Name 2 to 10" in alone.object["error"]) == (1, True)
