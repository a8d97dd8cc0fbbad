"""The housekeeping screen and its routes: for who oversees the server, and for nobody else."""

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from streamlit.testing.v1 import AppTest

from models import disk_alerts, flow_runs, jobs, settings
from models.database import engine
from models.errors import Conflict
from models.flow_schedules import Entry, listed, write
from models.house import reports
from models.permissions import OPERATOR, Role
from pipelines import keep_house
from pipelines.heart import Run
from pipelines.recorded import recorded
from tests.dashboard.conftest import Site

Screen = Callable[..., AppTest]


@pytest.fixture(scope="module")
def made(site: Site) -> reports.Made:
    write([Entry("keep-house", "30 4 * * *", "UTC", "")])
    return keep_house.keep(told=lambda step: None, by=OPERATOR)


def asked() -> bool:
    return listed(by=OPERATOR)[0].asked_at is not None


def test_the_screen_shows_the_last_round(screen: Screen, made: reports.Made) -> None:
    shown = screen(Role.ADMIN, at="housekeeping")
    assert not shown.exception
    assert "Database" in [one.label for one in shown.metric]
    kept = shown.dataframe[0].value
    assert dict(zip(kept["what"], kept["days"], strict=True))["History of contacts"] == "for ever"
    assert "contacts" in shown.dataframe[1].value["Table"].tolist()


def test_a_disk_that_gets_full_is_told(
    screen: Screen, made: reports.Made, monkeypatch: pytest.MonkeyPatch, web: str
) -> None:
    monkeypatch.setenv("APPOINTMENT360_DISK_WARNING", "1EB")
    settings.settings.cache_clear()
    disk_alerts.look()
    shown = screen(Role.ADMIN, at="housekeeping")
    assert any("make room" in one.value for one in shown.error)
    monkeypatch.undo()
    settings.settings.cache_clear()
    assert disk_alerts.look() == []
    assert not screen(Role.ADMIN, at="housekeeping").error


def test_it_is_run_now_as_a_job(screen: Screen, made: reports.Made) -> None:
    assert not asked()
    shown = screen(Role.ADMIN, at="housekeeping")
    next(one for one in shown.button if one.label == "Keep house now").click().run()
    assert not shown.exception
    assert asked()


def test_what_was_asked_for_is_followed_to_its_end(screen: Screen, made: reports.Made) -> None:
    def captions(of: AppTest) -> str:
        assert not of.exception
        return " ".join(one.value for one in of.caption)

    def button(of: AppTest) -> Any:
        return next(one for one in of.button if one.label == "Keep house now")

    def begun() -> AbstractContextManager[Run]:
        [waits] = flow_runs.under_way(by=OPERATOR)
        return recorded(reports.FLOW, noted=waits.id)

    for one in flow_runs.under_way(by=OPERATOR):  # which other tests asked for
        jobs.cancel(one.id, by=OPERATOR)
    shown = screen(Role.ADMIN, at="housekeeping")
    button(shown).click().run()
    assert "It begins within seconds" in captions(shown)
    assert button(shown).disabled
    with begun() as run:
        with engine().begin() as connection:
            connection.exec_driver_sql(f"UPDATE flow_runs SET step = 'taking stock' WHERE id = {run.id}")
        assert "Taking stock" in captions(shown.run())
    shown.run()
    assert "begins" not in captions(shown)
    assert not button(shown).disabled
    button(shown).click().run()
    with suppress(Conflict), begun():
        raise Conflict("The disk was away.")
    assert any("The disk was away." in one.value for one in shown.run().error)


def test_nobody_else_sees_it(screen: Screen) -> None:
    shown = screen(Role.MANAGER, at="housekeeping")
    assert any("You may not see how the server runs" in one.value for one in shown.markdown)


def test_programs_read_and_start_it(web: str, site: Site, made: reports.Made) -> None:
    api = f"{web}/api/v1/housekeeping"
    allowed, not_allowed = ({"authorization": f"Bearer {site.token(who)}"} for who in (Role.ADMIN, Role.MANAGER))
    assert httpx.get(api, headers=not_allowed).status_code == 403
    assert httpx.post(api, headers=not_allowed).status_code == 403
    standing = httpx.get(api, headers=allowed).json()
    assert standing["latest"]["id"] == made.id
    assert {one["setting"] for one in standing["kept"]} >= {"APPOINTMENT360_DAYS_KEPT_REJECTS"}
    assert Path(standing["disks"][0]["folder"]).is_absolute()
    assert httpx.get(f"{api}/reports/{made.id}", headers=allowed).json() == standing["latest"]
    assert httpx.get(f"{api}/reports/999", headers=allowed).status_code == 404
    assert [one["id"] for one in httpx.get(f"{api}/reports", headers=allowed).json()] == [made.id]
    assert httpx.post(api, headers=allowed).status_code == 202
    assert asked()
