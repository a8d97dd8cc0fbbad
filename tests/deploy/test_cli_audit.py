"""`appointment360 audit` as real processes, on a real database."""

from tests.deploy.command_line import Cli


def test_the_log_is_listed_newest_first(cli: Cli) -> None:
    cli("users", "add", "ann@example.com")
    cli("users", "set", "ann@example.com", "--limit", "7")
    listed = cli("audit", "list", "--about", "user ann@example.com", "--json").object
    assert [line["event"] for line in listed["lines"]] == ["user changed", "user invited"]
    assert listed["more"] is False
    newest = listed["lines"][0]
    assert (newest["who"], newest["before"], newest["after"]) == (
        "operator", {"download_limit": 100}, {"download_limit": 7},
    )  # fmt: skip
    said = cli("audit", "list", "--event", "user changed", "--who", "operator", "--words", "ann", "--limit", "1")
    assert "download_limit: 100 → 7" in said.out
    assert len(said.out.splitlines()) == 2
    assert cli("audit", "list", "--until", "2020-01-01", "--json").object == {"lines": [], "more": False}
    turned = cli("audit", "list", "--since", "2026-03-01", "--until", "2026-02-01", "--json")
    assert (turned.code, "--since 2026-03-01 is after --until 2026-02-01" in turned.object["error"]) == (2, True)
    ended = cli("audit", "list", "--event", "user eaten", "--json")
    assert (ended.code, "There is no event “user eaten”" in ended.object["error"]) == (1, True)
