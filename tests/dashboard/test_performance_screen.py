"""The performance screen, its file, and its routes: for who oversees the server, and for nobody else."""

from collections.abc import Callable

import httpx
import pytest
from streamlit.testing.v1 import AppTest

from models import flow_schedules, timings
from models.flow_schedules import Entry
from models.performance import pages, reports
from models.permissions import OPERATOR, Role
from models.tallies import Tally
from models.timings import keeping
from pipelines import report_performance
from tests.dashboard.conftest import Site

Screen = Callable[..., AppTest]


@pytest.fixture(scope="module")
def made(site: Site) -> reports.Made:
    with keeping():
        timings.note("screen", "contacts", 2.5, Tally(), user_id=site.people[Role.ADMIN].id)
    return report_performance.report(told=lambda step: None, by=OPERATOR)


def test_the_screen_shows_the_report(screen: Screen, made: reports.Made) -> None:
    shown = screen(Role.ADMIN, at="performance")
    assert not shown.exception
    assert [one.label for one in shown.metric][:2] == ["Findings", "Database"]
    for part in ("Who and what", "Screens and routes", "Slow ones", "Tables", "Indexes", "Imports, exports, flows"):
        shown.segmented_control(key="performance part").set_value(part).run()
        assert not shown.exception
        if part == "Slow ones":
            assert shown.dataframe[0].value["Who"].tolist() == ["An admin"]


def test_who_wants_it_has_it_mailed(screen: Screen, site: Site, made: reports.Made) -> None:
    by = site.people[Role.ADMIN].actor()
    shown = screen(Role.ADMIN, at="performance")
    shown.toggle[0].set_value(True).run()
    assert reports.is_mailed(by=by)
    shown.toggle[0].set_value(False).run()
    assert not reports.is_mailed(by=by)


def test_nobody_else_sees_it(screen: Screen) -> None:
    shown = screen(Role.MANAGER, at="performance")
    assert any("You may not see how the server runs" in one.value for one in shown.markdown)


def test_the_page_opens_offline(made: reports.Made) -> None:
    page = pages.page(made)
    assert page.startswith("<!doctype html>")
    for outside in ("http:", "https:", "<script", "<link", "src=", "url("):
        assert outside not in page
    assert "<svg" in page


def test_the_file_and_what_it_takes(web: str, site: Site, made: reports.Made) -> None:
    address = f"{web}/performance/report.html"
    assert httpx.get(address).status_code == 401
    assert httpx.get(address, cookies={"session": site.token(Role.MANAGER)}).status_code == 403
    given = httpx.get(address, cookies={"session": site.token(Role.ADMIN)})
    assert given.status_code == 200
    assert given.headers["content-disposition"].startswith("attachment")


def test_programs_read_it(web: str, site: Site, made: reports.Made) -> None:
    api = f"{web}/api/v1/performance"
    allowed, not_allowed = ({"authorization": f"Bearer {site.token(who)}"} for who in (Role.ADMIN, Role.MANAGER))
    assert httpx.get(api, headers=not_allowed).status_code == 403
    latest = httpx.get(api, headers=allowed).json()
    assert latest["id"] == made.id
    assert httpx.get(f"{api}/reports/{made.id}", headers=allowed).json() == latest
    assert httpx.get(f"{api}/reports/999", headers=allowed).status_code == 404
    assert [one["id"] for one in httpx.get(f"{api}/reports", headers=allowed).json()] == [made.id]
    assert "Findings" in httpx.get(f"{api}/report.txt", headers=allowed).text
    assert httpx.get(f"{api}/report.html", headers=allowed).text.startswith("<!doctype html>")


def test_programs_have_it_mailed_and_made(web: str, site: Site, made: reports.Made) -> None:
    flow_schedules.write([Entry(reports.FLOW, "30 5 * * *", "UTC", "Makes another one.")])
    api = f"{web}/api/v1/performance"
    admin, manager = ({"authorization": f"Bearer {site.token(who)}"} for who in (Role.ADMIN, Role.MANAGER))
    assert httpx.put(f"{api}/mail", json={"mailed": True}, headers=admin).json() == {"mailed": True}
    assert httpx.get(f"{api}/mail", headers=admin).json() == {"mailed": True}
    assert reports.is_mailed(by=site.people[Role.ADMIN].actor())
    assert httpx.put(f"{api}/mail", json={"mailed": False}, headers=admin).json() == {"mailed": False}
    assert httpx.put(f"{api}/mail", json={"mailed": True}, headers=manager).status_code == 403
    assert httpx.post(f"{api}/reports", headers=manager).status_code == 403
    asked = httpx.post(f"{api}/reports", headers=admin)
    assert (asked.status_code, asked.json()["name"]) == (202, reports.FLOW)
    assert asked.json()["asked_at"]
