"""Backups on their screen: what there is, what is wrong, and asking for one and for its drill."""

import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from models import backups
from models.backups import Drill, Made
from models.database import writing
from models.permissions import OPERATOR, Role
from pipelines.recorded import recorded
from tests.dashboard.conftest import Site

Screen = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def none_left(site: Site) -> Iterator[None]:
    yield
    with writing(OPERATOR) as session:
        session.execute(text("DELETE FROM backups; DELETE FROM backup_alerts; DELETE FROM mails"))


def said(test: AppTest) -> str:
    assert not test.exception, test.exception
    return "\n".join(one.value for kind in (test.markdown, test.caption, test.error, test.info) for one in kind)


def test_one_is_asked_for(screen: Screen) -> None:
    test = screen(Role.ADMIN, at="backups")
    assert "There is no backup yet" in said(test)
    next(one for one in test.button if one.label == "Back up now").click().run()
    [asked] = backups.listed(by=OPERATOR)
    assert asked.standing == "waiting"


def test_its_drill_is_followed_to_the_end(screen: Screen) -> None:
    made = backups.ask(by=OPERATOR)
    with backups.claimed(made), recorded(backups.FLOW, subject=f"backup {made}") as run:
        backups.begin(made)
        backups.finish(made, Made(10_000, 2, 3, 0, None), by=OPERATOR)
        run.says(backups.STEPS["restore"])
        deadline = time.monotonic() + 20
        while backups.at_work(by=OPERATOR) != {made: backups.STEPS["restore"]}:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        test = screen(Role.ADMIN, at="backups")
        assert list(test.dataframe[0].value["state"]) == [["Being drilled"]]
        assert f"Backup {made}: Restoring it for the drill …" in said(test)
        assert next(one for one in test.button if one.label == "Back up now").disabled
        backups.drilled(made, Drill.MATCHES, seconds=2.0, differences=[], by=OPERATOR)
    test = screen(Role.ADMIN, at="backups")
    assert list(test.dataframe[0].value["state"]) == [["Proven"]]
    assert not next(one for one in test.button if one.label == "Back up now").disabled


def test_what_a_drill_refuted_is_told_above(screen: Screen) -> None:
    for outcome, found in ((Drill.MATCHES, []), (Drill.DIFFERS, ["Rows are missing."])):
        made = backups.ask(by=OPERATOR)
        backups.finish(made, Made(10_000, 2, 3, 0, None), by=OPERATOR)
        backups.drilled(made, outcome, seconds=2.0, differences=found, by=OPERATOR)
    test = screen(Role.ADMIN, at="backups")
    assert "Rows are missing." in said(test)
    shown = test.dataframe[0].value
    assert list(shown["state"]) == [["Failed"], ["Proven"]]
    assert list(shown["why"].dropna()) == ["Rows are missing."]
    assert "place" not in shown
    with writing(OPERATOR) as session:
        session.execute(text("UPDATE backups SET place = '/elsewhere' WHERE id = (SELECT max(id) FROM backups)"))
    shown = screen(Role.ADMIN, at="backups").dataframe[0].value
    assert list(shown["place"]) == ["/elsewhere", backups.place()]
