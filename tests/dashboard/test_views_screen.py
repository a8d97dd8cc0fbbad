"""Views in the sidebar, on the contacts screen and on their own: counts, what is open, what was changed since."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, update
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from dashboard import session
from models import filters, settings, view_changes, view_exports, views
from models.contacts import search
from models.database import writing
from models.permissions import OPERATOR, Actor, Role
from models.view_exports import Wanted
from models.views import SavedView, View
from tests.dashboard.conftest import NARROW_MANAGER, Site

Screen = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def none_before(site: Site) -> Iterator[None]:
    yield
    with writing(OPERATOR) as transaction:
        transaction.execute(delete(SavedView))


@pytest.fixture
def ann(site: Site) -> Actor:
    return site.people[Role.MANAGER].actor()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("APPOINTMENT360_EXPORT_ROOTS", str(tmp_path))
    settings.settings.cache_clear()
    yield tmp_path
    settings.settings.cache_clear()


def saved(name: str, where: str = "country=Germany", *, by: Actor, **more: object) -> View:
    return view_changes.save(name, filters=filters.parse([where], by=by), by=by, **more)  # type: ignore[arg-type]


def beside(test: AppTest) -> list[str]:
    """The views in the sidebar, each with its number."""
    assert not test.exception, test.exception
    labels = [one.label for one in test.sidebar.button if (one.key or "").startswith("view ")]
    return [re.sub(r":gray\[(.*)\]", r"\1", label) for label in labels]


def button(test: AppTest, label: str) -> Button:
    return next(one for one in test.button if one.label == label)


def link(test: AppTest, view: View) -> Button:
    return next(one for one in test.sidebar.button if one.key == f"view {view.id}")


def menu(test: AppTest) -> list[str]:
    [found] = [one for one in test.get("menu_button") if "view menu" in one.proto.id]
    return list(found.proto.options)


def choose(test: AppTest, option: str) -> AppTest:
    [found] = [one for one in test.get("menu_button") if "view menu" in one.proto.id]
    states = test._tree.get_widget_states()
    states.widgets.add(id=found.proto.id).string_trigger_value.data = option
    return test._run(states)


def test_the_sidebar_has_exact_numbers_and_marks_what_is_open(screen: Screen, site: Site, ann: Actor) -> None:
    german = saved("German", by=ann, columns=["full_name", "country"], sort="country")
    saved("Everybody’s", "seniority=VP", by=site.people[Role.ADMIN].actor(), shared=True)
    vps = search.count(filters.parse(["seniority=VP"], by=ann), by=ann)
    test = screen(Role.MANAGER)
    assert beside(test) == [f"German {site.in_germany}", f"Everybody’s {vps}"]
    link(test, german).click().run()
    assert test.query_params == {
        "country": "Germany", "sort": "country", "columns": "full_name,country", "view": str(german.id)
    }  # fmt: skip
    assert beside(test)[0] == f"**German** {site.in_germany}"
    assert views.get(german.id, by=ann).used_at is not None
    button(test, "Country is **Germany**").click().run()
    assert test.query_params["view"] == str(german.id)
    assert beside(test)[0] == f"**German · changed** {site.in_germany}"
    overview = screen(Role.MANAGER, at="overview", country="Germany", view=str(german.id))
    assert beside(overview)[0].startswith("**German · changed**"), "its order and columns are not in this address"


def test_counts_follow_the_contacts_and_are_looked_for_once(
    screen: Screen, site: Site, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        saved(f"View {number:02}", f"employees.gte={number}", by=ann)
    looks: list[int] = []
    real = search._counted
    monkeypatch.setattr(search, "_counted", lambda s, asked, by: looks.append(len(asked)) or real(s, asked, by))
    test = screen(Role.MANAGER)
    assert len(beside(test)) == 30
    assert looks == [30], "one look for all of them"
    test.run()
    screen(Role.MANAGER, at="views")
    assert sum(looks) == 30, "and none while nobody changes contacts"


def _save() -> None:
    from dashboard import address, session
    from dashboard.widgets.said import said
    from dashboard.widgets.view_dialogs import save_dialog

    said()
    save_dialog(address.read(by=session.actor()))


def test_what_is_saved_is_what_is_seen(site: Site, ann: Actor, themed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "someone", lambda: ann)
    test = AppTest.from_function(_save, default_timeout=60)
    test.query_params["country"], test.query_params["sort"] = "Germany", "-employees"
    test.run()
    assert "Country is Germany, with the 13 columns and the order of now." in test.markdown[0].value
    next(one for one in test.text_input if one.label == "Name").set_value("German")
    button(test, "Save").click().run()
    made = views.find("German", by=ann)
    assert (made.query, made.sort, made.shared) == ("country=Germany", "-employees", False)
    assert (made.columns or ())[:2] == ("full_name", "title")
    assert [toast.value for toast in test.toast] == ["“German” is saved. It stands in the sidebar."]
    assert test.query_params["view"] in (str(made.id), [str(made.id)])
    button(test, "Save").click().run()
    assert [one.value.replace("\\", "") for one in test.error] == [
        "You have a view “German” already: choose another name."
    ]


def test_the_button_is_there_where_no_view_is_open(screen: Screen) -> None:
    assert button(screen(Role.ANALYST), "Save view")


def test_changes_are_saved_put_back_and_given_up(screen: Screen, ann: Actor) -> None:
    made = saved("German", by=ann)
    test = screen(Role.MANAGER, country="France", view=str(made.id))
    assert menu(test)[:3] == ["Save changes", "Back to the view as it was saved", "Save as another view…"]
    choose(test, "Save changes")
    assert views.get(made.id, by=ann).query == "country=France"
    assert "Save changes" not in menu(test)
    choose(test, "Put the last change back")
    assert test.query_params["country"] in ("Germany", ["Germany"])
    assert views.get(made.id, by=ann).query == "country=Germany"
    test = screen(Role.MANAGER, country="India", view=str(made.id))
    choose(test, "Back to the view as it was saved")
    assert test.query_params["country"] in ("Germany", ["Germany"])


def test_a_colleagues_link_works_and_their_view_is_not_changed(screen: Screen, site: Site, ann: Actor) -> None:
    private, shared = saved("Mine", by=ann), saved("Ours", by=ann, shared=True)
    test = screen(NARROW_MANAGER, country="Germany", view=str(private.id))
    assert any(f"**{site.in_germany}** of" in one.value for one in test.caption)
    assert beside(test) == [f"Ours {site.in_germany}"]
    assert button(test, "Save view")
    test = screen(NARROW_MANAGER, country="France", view=str(shared.id))
    assert menu(test) == ["Back to the view as it was saved", "Save as another view…", "Export by schedule…"]


@pytest.mark.parametrize("number", ["x", "-1", "99999999999999999999", "0", "１"])
def test_a_number_that_is_no_view_is_none(screen: Screen, number: str) -> None:
    test = screen(Role.MANAGER, country="Germany", view=number)
    assert not test.exception
    assert button(test, "Save view")


def test_a_view_on_a_hidden_field_has_no_number_and_says_why(screen: Screen, ann: Actor) -> None:
    made = saved("Bosses", "email.contains=boss.example", by=ann, shared=True)
    test = screen(NARROW_MANAGER)
    assert beside(test) == ["Bosses –"]
    link(test, made).click().run()
    test = screen(NARROW_MANAGER, at="views")
    row = test.dataframe[0].value.iloc[0]
    assert (row["state"], row["filter"]) == (
        ["Cannot be used"], "You may not see the column E-mail: an administrator can allow it.",
    )  # fmt: skip
    assert "boss.example" not in repr(test)


def test_one_that_can_no_longer_be_read_is_shown_with_the_reason(screen: Screen, ann: Actor) -> None:
    made = saved("Old", by=ann)
    with writing(OPERATOR) as transaction:
        transaction.execute(update(SavedView).where(SavedView.id == made.id).values(query="shoe=42"))
    test = screen(Role.MANAGER, at="views")
    assert test.dataframe[0].value.iloc[0]["filter"].startswith("There is no field “shoe” to filter by.")
    assert beside(test) == ["Old –"]


def test_a_view_of_a_moment_that_there_is_no_more_takes_no_other_number_away(
    screen: Screen, ann: Actor, site: Site
) -> None:
    saved("German", by=ann)
    saved("Lost", "as_of=import:99", by=ann)
    test = screen(Role.MANAGER, at="views")
    assert beside(test) == [f"German {site.in_germany}", "Lost –"]


def test_deleted_with_its_undo(screen: Screen, ann: Actor, site: Site) -> None:
    made = saved("German", by=ann)
    test = screen(Role.MANAGER, country="Germany", view=str(made.id))
    choose(test, "Delete")
    assert beside(test) == []
    assert "view" not in test.query_params
    assert test.query_params["country"] in ("Germany", ["Germany"]), "the contacts stay in sight"
    button(test, "Undo").click().run()
    assert beside(test) == [f"German {site.in_germany}"]
    view_changes.delete(made.id, by=ann)
    test = screen(Role.MANAGER, at="views")
    button(test, "Bring back").click().run()
    assert [one.name for one in views.listed(by=ann)] == ["German"]


def selected(test: AppTest, table: int) -> AppTest:
    key = test.dataframe[table].key
    test.session_state[key] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    return test.run()


def test_actions_come_with_a_selection(screen: Screen, ann: Actor) -> None:
    made = saved("German", by=ann)
    test = screen(Role.MANAGER, at="views")
    labels = ["Rename", "Share", "Put the last change back", "Export by schedule", "Delete"]
    assert all(button(test, label).disabled for label in labels)
    test = selected(test, 0)
    assert [label for label in labels if button(test, label).disabled] == ["Put the last change back"]
    button(test, "Share").click().run()
    assert views.get(made.id, by=ann).shared
    test = selected(screen(NARROW_MANAGER, at="views"), 0)
    assert [label for label in ("Rename", "Share no longer", "Delete") if not button(test, label).disabled] == []


def test_schedules_stand_below_with_what_can_be_done(screen: Screen, ann: Actor, root: Path) -> None:
    made = saved("German", by=ann)
    view_exports.schedule(made.id, Wanted("day", str(root)), by=ann)
    test = screen(Role.MANAGER, at="views")
    row = test.dataframe[1].value.iloc[0]
    assert (row["view"], row["state"], row["when"]) == ("German", ["Active"], "At 06:00 every day, UTC")
    assert test.dataframe[0].value.iloc[0]["schedule"] == "At 06:00 every day, UTC"
    button(selected(test, 1), "Pause").click().run()
    assert not view_exports.listed(by=ann)[0].active
    test = screen(Role.MANAGER, at="views")
    button(selected(test, 1), "Run now").click().run()
    assert view_exports.listed(by=ann)[0].running
    test = screen(Role.MANAGER, at="views")
    button(selected(test, 1), "End").click().run()
    assert view_exports.listed(by=ann) == []
    assert len(screen(NARROW_MANAGER, at="views").dataframe) == 0, "others see neither"


def _schedule() -> None:
    from dashboard import session
    from dashboard.widgets.schedule_dialog import schedule_dialog
    from models import views

    schedule_dialog(views.listed(by=session.actor())[0])


def test_the_dialog_of_a_schedule(
    site: Site, ann: Actor, root: Path, themed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved("German", by=ann)
    monkeypatch.setattr(session, "someone", lambda: ann)
    test = AppTest.from_function(_schedule, default_timeout=60)
    test.context = {"locale": "en-GB", "timezone": "Europe/Berlin"}
    test.run()
    assert any("At 06:00 every day, Europe/Berlin" in one.value for one in test.caption)
    next(one for one in test.button_group if one.label == "Every").set_value("hour").run()
    next(one for one in test.text_input if one.label == "Place").set_value("/etc").run()
    button(test, "Schedule").click().run()
    assert any("Exports may not be put into /etc" in one.value.replace("\\", "") for one in test.error)
    next(one for one in test.text_input if one.label == "Place").set_value(str(root)).run()
    button(test, "Schedule").click().run()
    [made] = view_exports.listed(by=ann)
    assert made.wanted == Wanted("0 * * * *", str(root), "csv", "{view} {date} {time}", "Europe/Berlin")
    monkeypatch.delenv("APPOINTMENT360_EXPORT_ROOTS")
    settings.settings.cache_clear()
    test.run()
    assert any("APPOINTMENT360_EXPORT_ROOTS" in one.value for one in test.info)
