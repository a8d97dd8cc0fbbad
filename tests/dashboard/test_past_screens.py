"""Contacts, one contact, and differences as of a moment, as the screens show them."""

from collections.abc import Callable
from datetime import datetime

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from models.contacts import records
from models.database import reading
from models.permissions import OPERATOR, Actor, Role
from tests.dashboard.conftest import NARROW_MANAGER, Site
from tests.dashboard.contacts_data import ROWS

Screen = Callable[..., AppTest]


@pytest.fixture(scope="module")
def past(site: Site) -> tuple[str, int, int]:
    """(a moment, a contact that was changed since, one that was deleted since)"""
    values = {"last_name": "Pastel", "title": "CEO", "company": "Acme", "country": "Japan"}
    changed, gone = (records.create({"first_name": one, **values}, anyway=True, by=OPERATOR) for one in ("Old", "Gone"))
    with reading() as session:
        moment: datetime = session.scalars(text("SELECT clock_timestamp()")).one()
    by: Actor = site.people[Role.ADMIN].actor()
    version = records.get(changed, by=by).version
    records.update(changed, {"title": "CTO", "mobile_phone": "+49 30 1234567"}, version=version, by=by)
    records.delete(gone, version=records.get(gone, by=by).version, by=by)
    return moment.isoformat().replace("+00:00", "Z"), changed, gone


def said(test: AppTest) -> str:
    assert not test.exception, test.exception
    kinds = (test.markdown, test.caption, test.title, test.warning)
    drawn = [one.proto.body for one in test.get("html") if "<style" not in one.proto.body]
    return "\n".join([*(one.value for kind in kinds for one in kind), *drawn])


def buttons(test: AppTest) -> set[str]:
    return {one.label for one in test.button}


def test_contacts_as_they_were_are_read_only(screen: Screen, past: tuple[str, int, int]) -> None:
    moment, *_ = past
    now = screen(Role.ADMIN, last_name="Pastel")
    assert {"New", "Deleted contacts", "Export"} <= buttons(now)
    then = screen(Role.ADMIN, last_name="Pastel", as_of=moment)
    assert "not as they are now" in said(then)
    assert "**2** of " in said(then)
    assert list(then.dataframe[0].value["title"]) == ["CEO", "CEO"]
    assert buttons(then).isdisjoint({"New", "Deleted contacts"})
    assert {"Back to now", "What changed since", "Export"} <= buttons(then)
    assert now.dataframe[0].proto.selection_mode != then.dataframe[0].proto.selection_mode
    back = next(one for one in then.button if one.label == "Back to now").click().run()
    assert dict(back.query_params) == {"last_name": "Pastel"}
    assert list(back.dataframe[0].value["title"]) == ["CTO"]


def test_who_may_not_see_deleted_contacts_is_told_so(screen: Screen, past: tuple[str, int, int]) -> None:
    moment, _, gone = past
    then = screen(Role.ANALYST, last_name="Pastel", as_of=moment)
    assert "Contacts that were deleted since are left out" in said(then)
    assert len(then.dataframe[0].value) == 1
    assert f"There was no contact {gone}" in said(screen(Role.ANALYST, at="contact", id=str(gone), as_of=moment))


@pytest.mark.parametrize(
    ("as_of", "why"),
    [("2999-01-01", "still to come"), ("soon", "is no moment"), ("1999-12-31", "There were no contacts yet"),
     ("import:999", "no import 999")],
)  # fmt: skip
def test_moments_of_which_there_is_nothing(screen: Screen, as_of: str, why: str) -> None:
    for place, more in (("contacts", {}), ("overview", {}), ("contact", {"id": str(ROWS)})):
        assert why in said(screen(Role.ADMIN, at=place, as_of=as_of, **more)).replace("\\", "")


def test_a_contact_as_it_was(screen: Screen, past: tuple[str, int, int]) -> None:
    moment, changed, gone = past
    then = screen(Role.ADMIN, at="contact", id=str(changed), as_of=moment)
    assert "not as it is now" in said(then)
    assert "CTO" not in said(then)
    assert buttons(then).isdisjoint({"Edit", "Delete", "Undo this change"})
    deleted = screen(Role.ADMIN, at="contact", id=str(gone), as_of=moment)
    assert "Gone Pastel" in said(deleted)
    assert "Restore" not in buttons(deleted)
    back = next(one for one in then.button if one.label == "Back to now").click().run()
    assert dict(back.query_params) == {"id": str(changed)}
    assert {"Edit", "Delete"} <= buttons(back)


def test_every_value_tells_where_it_comes_from(screen: Screen, past: tuple[str, int, int]) -> None:
    _, changed, _ = past
    page = said(screen(Role.ADMIN, at="contact", id=str(changed)))
    origin = page.partition('aria-label="Where it comes from: Title"')[2].partition("</details>")[0]
    assert "Changed by hand, by An admin" in origin
    assert '<bdi class="chip">CEO</bdi> Entered, by operator' in origin
    assert page.count("Where it comes from: Notes") == 0, "it never held anything"
    narrow = said(screen(NARROW_MANAGER, at="contact", id=str(changed)))
    assert "Where it comes from: Title" in narrow
    assert "Mobile Phone" not in narrow
    assert "1234567" not in narrow


def test_the_difference(screen: Screen, past: tuple[str, int, int]) -> None:
    moment, *_ = past
    page = screen(Role.ADMIN, at="difference", last_name="Pastel", **{"from": moment})
    assert page.segmented_control[0].options == ["Came into it: 0", "Left it: 1", "Changed: 1"]
    [left] = page.dataframe[0].value.to_dict("records")
    assert (left["name"], left["what"]) == ("Gone Pastel", "Deleted")
    page = page.segmented_control[0].set_value("changed").run()
    [row] = page.dataframe[0].value.to_dict("records")
    assert row["what"] == "Title: CEO → CTO · Mobile Phone: nothing → +49 30 1234567"
    assert page.query_params["way"] == "changed"
    narrow = screen(Role.ANALYST, at="difference", last_name="Pastel", **{"from": moment})
    assert narrow.segmented_control[0].options == ["Came into it: 0", "Left it: 0", "Changed: 1"]
    assert narrow.dataframe[0].value.to_dict("records")[0]["what"] == "Title: CEO → CTO"


def test_addresses_that_compare_nothing(screen: Screen, past: tuple[str, int, int]) -> None:
    moment, *_ = past
    for params, why in (
        ({}, "does not say from when"), ({"from": "soon"}, "from=soon: “soon” is no moment"),
        ({"from": moment, "way": "up"}, "way=up: write came, left, changed"),
        ({"from": "now", "to": moment}, "does not say from when"),
        ({"from": moment, "as_of": moment}, "two moments of its own"),
        ({"from": moment, "to": "2026-01-01"}, "the first moment is the later one"),
    ):  # fmt: skip
        assert why in said(screen(Role.ADMIN, at="difference", **params)).replace("\\", "")
