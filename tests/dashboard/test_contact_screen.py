import json
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text, update
from streamlit.testing.v1 import AppTest

from dashboard import session
from models import filters, sign_ins, users
from models.audit import AuditLine, Event
from models.contacts import history, records, search, undo
from models.contacts.history import What
from models.contacts.table import FIELDS, Contact
from models.database import reading, writing
from models.errors import Gone
from models.fields import Kind
from models.imports import Import
from models.permissions import OPERATOR, Actor, Role
from models.users import Changes
from tests.dashboard.conftest import Site

Screen = Callable[..., AppTest]
MANAGER = f"{Role.MANAGER}@example.com"


@pytest.fixture
def manager(site: Site) -> Actor:
    return site.people[Role.MANAGER].actor()


@pytest.fixture
def admin(site: Site) -> Actor:
    return site.people[Role.ADMIN].actor()


@pytest.fixture
def zoe(manager: Actor) -> int:
    values = {
        "first_name": "Zoë", "last_name": "Müller", "title": "CEO", "company": "Acme", "email": "zoe@acme.example",
        "mobile_phone": "+49 30 1234567", "tags": "a, b", "country": "Germany", "annual_revenue": "1500000",
        "last_raised_at": "2026-03-31", "is_active": "yes",
    }  # fmt: skip
    return records.create(values, anyway=True, by=manager)  # each test has one of its own


def html(test: AppTest) -> list[str]:
    return [one.proto.body for one in test.get("html") if "<style" not in one.proto.body]


def drawn(test: AppTest) -> str:
    """Everything that the page says, as HTML and Markdown."""
    assert not test.exception, test.exception
    return "\n".join([*html(test), *(one.value for kind in (test.markdown, test.caption, test.title, test.subheader)
                               for one in kind)])  # fmt: skip


def labels(test: AppTest) -> list[str]:
    return [one.label for one in test.button]


def press(test: AppTest, label: str) -> AppTest:
    return next(one for one in test.button if one.label == label).click().run()


def discard(test: AppTest) -> AppTest:
    """What was typed, once it is certain."""
    return press(press(test, "Discard"), "Discard it")


def control(test: AppTest, name: str) -> Any:
    """The control of a field in the open form."""
    controls = [*test.text_input, *test.selectbox, *test.multiselect, *test.date_input, *test.text_area]
    return next(one for one in controls if (one.key or "").endswith(f" {name}"))


def change(contact: int, by: Actor, **values: str) -> None:
    records.update(contact, values, version=records.get(contact, by=by).version, by=by)


def toasts(test: AppTest) -> list[str]:
    return [one.value for one in test.toast]


@pytest.mark.parametrize("role", list(Role))
def test_every_role_sees_the_contact_with_what_it_may_do(screen: Screen, zoe: int, role: Role) -> None:
    test = screen(role, at="contact", id=str(zoe))
    assert [one.value for one in test.title] == ["Zoë Müller"]
    said = drawn(test)
    assert "CEO" in said
    may = role is not Role.ANALYST
    assert ("zoe@acme.example" in said, "Acme" in said, "+49 30" in said, "E-mail and phone" in said) == (may,) * 4
    assert ("Edit" in labels(test), "Delete" in labels(test)) == (may, may)
    assert ("12 of" in said, "4 of 4 fields" in said) == (may, not may)
    assert "**Created**" in said


def test_values_stand_as_the_locale_writes_them(screen: Screen, zoe: int) -> None:
    said = drawn(screen(Role.ADMIN, at="contact", id=str(zoe)))
    for expected in ("$1,500,000", "31 Mar 2026", "<dd dir=\"auto\">Yes</dd>", 'href="mailto:zoe@acme.example"',
                     'href="tel:+49%2030%201234567"'):  # fmt: skip
        assert expected in said


@pytest.mark.parametrize("asked", ["abc", "999999", "99999999999999999999", "-1", "1.5", "", "１", "<b>x</b>"])
def test_an_id_of_nobody_has_a_way_out(screen: Screen, asked: str) -> None:
    test = screen(Role.ADMIN, at="contact", id=asked, country="Germany")
    assert "There is no contact" in drawn(test) or "does not say which contact" in drawn(test)
    press(test, "Show all contacts")
    assert test.dataframe
    assert test.query_params == {"country": "Germany"}


def test_an_edit_is_saved_and_told(screen: Screen, zoe: int, manager: Actor) -> None:
    test = press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Edit")
    assert control(test, "title").value == "CEO"
    control(test, "title").set_value("CTO").run()
    control(test, "tags").set_value(["b", "new, one"]).run()
    control(test, "last_raised_at").set_value(None).run()
    control(test, "seniority").set_value("VP").run()
    control(test, "is_active").set_value("no").run()
    test = press(test, "Save changes")
    assert toasts(test) == ["Saved"]
    assert not test.text_input
    found = records.get(zoe, by=manager).values
    assert (found["title"], found["tags"], found["last_raised_at"]) == ("CTO", ["b", "new, one"], None)
    assert (found["seniority"], found["is_active"]) == ("VP", False)
    assert "5 fields changed" in drawn(test)
    assert not any("Unsaved changes" in one.value for one in test.markdown)


def test_problems_stand_beside_their_fields_and_nothing_typed_is_lost(screen: Screen, zoe: int, manager: Actor) -> None:
    test = press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Edit")
    control(test, "email").set_value("zoe@").run()
    control(test, "mobile_phone").set_value("+1 234").run()
    control(test, "title").set_value("CTO").run()
    assert "it has nothing after the @" in drawn(test)
    test = press(test, "Save changes")
    assert "Not saved: E-mail, Mobile Phone cannot be stored" in drawn(test)
    assert [control(test, name).value for name in ("email", "mobile_phone", "title")] == ["zoe@", "+1 234", "CTO"]
    assert records.get(zoe, by=manager).values["title"] == "CEO"
    control(test, "email").set_value("z@acme.example").run()
    control(test, "mobile_phone").set_value("").run()
    assert "Not saved" not in drawn(press(test, "Save changes"))
    assert records.get(zoe, by=manager).values["email"] == "z@acme.example"


def test_an_amount_in_another_currency_is_refused_beside_its_field(screen: Screen, zoe: int, manager: Actor) -> None:
    test = press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Edit")
    assert control(test, "annual_revenue").label == "Revenue (US$)"
    control(test, "annual_revenue").set_value("€ 3m").run()
    assert "“€ 3m” is in another currency: amounts are kept in US dollars (write 3000000)." in drawn(test)
    assert "Not saved: Revenue" in drawn(press(test, "Save changes"))
    assert records.get(zoe, by=manager).values["annual_revenue"] == 1_500_000
    control(test, "annual_revenue").set_value("$3m").run()
    press(test, "Save changes")
    assert records.get(zoe, by=manager).values["annual_revenue"] == 3_000_000


def test_the_form_says_that_a_status_goes_with_the_old_address(screen: Screen, zoe: int, manager: Actor) -> None:
    change(zoe, manager, email_status="Verified")
    test = press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Edit")
    assert "of the old address" not in drawn(test)
    before = control(test, "email").value
    control(test, "email").set_value("z@acme.example").run()
    assert "E-mail status “Verified” was said of the old address, and is emptied" in drawn(test)
    assert control(test, "email_status").value in (None, "", "–")
    control(test, "email").set_value(before).run()
    assert control(test, "email_status").value == "Verified"
    control(test, "email").set_value("z@acme.example").run()
    press(test, "Save changes")
    assert records.get(zoe, by=manager).values["email_status"] is None


def test_a_status_that_is_set_for_the_new_address_is_kept(screen: Screen, zoe: int, manager: Actor) -> None:
    change(zoe, manager, email_status="Verified")
    test = press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Edit")
    control(test, "email").set_value("z@acme.example").run()
    control(test, "email_status").set_value("Verified").run()
    assert "of the old address" not in drawn(test)
    press(test, "Save changes")
    assert records.get(zoe, by=manager).values["email_status"] == "Verified"


def test_a_contact_that_would_be_nobody_is_refused(screen: Screen, manager: Actor) -> None:
    contact = records.create({"company": "Nobody Ltd"}, by=manager)
    test = press(screen(Role.MANAGER, at="contact", id=str(contact)), "Edit")
    control(test, "company").set_value("").run()
    assert "A contact needs a name, an e\\-mail or a company." in drawn(press(test, "Save changes"))


def test_two_people_who_edit_the_same_contact_are_told(screen: Screen, zoe: int, manager: Actor, admin: Actor) -> None:
    test = press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Edit")
    control(test, "title").set_value("CTO").run()
    control(test, "notes").set_value("mine").run()
    change(zoe, admin, title="CFO", city="Bonn")
    test = press(test, "Save changes")
    assert "An admin changed Title, City at" in drawn(test)
    assert "An admin wrote **CFO**" in labels(test)
    assert "An admin changed it just now" in drawn(test)
    assert [control(test, name).value for name in ("title", "city", "notes")] == ["CTO", "Bonn", "mine"]
    assert records.get(zoe, by=manager).values["title"] == "CFO"
    press(test, "Save changes")
    found = records.get(zoe, by=manager).values
    assert (found["title"], found["city"], found["notes"]) == ("CTO", "Bonn", "mine")


def test_their_value_can_be_taken(screen: Screen, zoe: int, manager: Actor, admin: Actor) -> None:
    test = press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Edit")
    control(test, "title").set_value("CTO").run()
    control(test, "tags").set_value(["mine"]).run()
    change(zoe, admin, title="CFO", tags="x, y")
    test = press(test, "Save changes")
    for value in ("CFO", "x, y"):
        test = press(test, f"An admin wrote **{value}**")
    assert (control(test, "title").value, control(test, "tags").value) == ("CFO", ["x", "y"])
    before = records.get(zoe, by=manager)
    press(test, "Save changes")
    assert records.get(zoe, by=manager) == before


def test_what_was_typed_outlives_the_deletion_by_somebody_else(
    screen: Screen, zoe: int, manager: Actor, admin: Actor
) -> None:
    test = press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Edit")
    control(test, "title").set_value("CTO").run()
    records.delete(zoe, version=records.get(zoe, by=admin).version, by=admin)
    test = press(test, "Save changes")
    assert "An admin deleted this contact at" in drawn(test)
    assert control(test, "title").value == "CTO"
    test = press(test, "Restore it with my changes")
    assert toasts(test) == ["Saved"]
    assert records.get(zoe, by=manager).values["title"] == "CTO"


@pytest.mark.parametrize("last", ["typing", "saving"])
def test_what_was_typed_outlives_the_session(screen: Screen, zoe: int, manager: Actor, last: str) -> None:
    test = press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Edit")
    control(test, "title").set_value("CTO").run()
    sign_ins.sign_out(screen.token)  # type: ignore[attr-defined]
    field = control(test, "city").set_value("Bonn")
    test = field.run() if last == "typing" else press(test, "Save changes")
    assert [one.label for one in test.text_input] == ["Work e-mail", "Password"]
    assert "Zoë" not in drawn(test)
    kept = "Your session has ended. Sign in again: what you typed on the contact’s page is kept."
    assert [one.value for one in test.info] == [kept]
    assert records.get(zoe, by=manager).values["title"] == "CEO"

    again = screen(Role.MANAGER, at="contact", id=str(zoe))
    assert "Unsaved changes" in drawn(again)
    assert "to Title, City" in drawn(again) or "to City, Title" in drawn(again)
    assert "Unsaved changes" not in drawn(screen(Role.ADMIN, at="contact", id=str(zoe)))
    again = press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Continue")
    assert (control(again, "title").value, control(again, "city").value) == ("CTO", "Bonn")
    press(again, "Save changes")
    found = records.get(zoe, by=manager).values
    assert (found["title"], found["city"]) == ("CTO", "Bonn")
    assert "Unsaved changes" not in drawn(screen(Role.MANAGER, at="contact", id=str(zoe)))


def test_the_sign_in_page_says_nothing_where_nothing_was_typed(screen: Screen, zoe: int) -> None:
    assert not screen(None).info
    test = press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Edit")
    sign_ins.sign_out(screen.token)  # type: ignore[attr-defined]
    test.run()
    assert [one.label for one in test.text_input] == ["Work e-mail", "Password"]
    assert not test.info


def test_each_tab_keeps_what_was_typed_in_it(screen: Screen, zoe: int, manager: Actor) -> None:
    first = press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Edit")
    second = press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Edit")
    control(first, "title").set_value("CTO").run()
    control(second, "city").set_value("Bonn").run()
    discard(second)
    again = press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Continue")
    assert (control(again, "title").value, control(again, "city").value) == ("CTO", "")


def test_two_tabs_that_go_on_from_one_draft_lose_nothing(
    screen: Screen, zoe: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Edit")
    control(first, "title").set_value("CTO").run()
    discard(press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Continue"))
    assert "Unsaved changes" not in drawn(screen(Role.MANAGER, at="contact", id=str(zoe)))
    monkeypatch.setattr(session, "cookie_token", lambda: None)
    assert [one.label for one in first.run().text_input] == ["Work e-mail", "Password"]
    again = press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Continue")
    assert control(again, "title").value == "CTO"


def test_an_open_form_shows_no_field_that_was_hidden_since(screen: Screen, zoe: int, manager: Actor) -> None:
    test = press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Edit")
    control(test, "title").set_value("CTO").run()
    users.change(MANAGER, Changes(column_allowed=("first_name", "last_name", "title")), by=OPERATOR)
    try:
        control(test, "title").set_value("CTO!").run()
        assert "zoe@acme.example" not in drawn(test)
        assert not [one for one in test.text_input if one.value == "zoe@acme.example"]
        assert control(test, "title").value == "CTO!"
    finally:
        users.change(MANAGER, Changes(every_column=True), by=OPERATOR)


def test_a_draft_of_an_older_state_overwrites_nothing_silently(
    screen: Screen, zoe: int, manager: Actor, admin: Actor
) -> None:
    test = press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Edit")
    control(test, "title").set_value("CTO").run()
    change(zoe, admin, title="CFO")
    test = press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Continue")
    test = press(test, "Save changes")
    assert "An admin wrote **CFO**" in labels(test)
    assert records.get(zoe, by=manager).values["title"] == "CFO"


def test_a_form_that_is_only_opened_leaves_no_draft(screen: Screen, zoe: int) -> None:
    press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Edit").run()
    assert "Unsaved changes" not in drawn(screen(Role.MANAGER, at="contact", id=str(zoe)))


def test_a_discarded_draft_is_gone(screen: Screen, zoe: int) -> None:
    test = press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Edit")
    control(test, "title").set_value("CTO").run()
    test = press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Discard them")
    assert "Unsaved changes" not in drawn(test)
    test = press(test, "Edit")
    control(test, "title").set_value("CTO").run()
    test = press(test, "Discard")
    assert "Discard what you typed in Title? It is kept nowhere else." in drawn(test)
    test = press(test, "Go on editing")
    assert control(test, "title").value == "CTO"
    assert "Save changes" in labels(test)
    test = discard(test)
    assert "Unsaved changes" not in drawn(test)
    assert control(press(test, "Edit"), "title").value == "CEO"


def test_a_contact_is_deleted_and_restored(screen: Screen, zoe: int, manager: Actor) -> None:
    test = press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Delete")
    assert "**Zoë Müller** goes from all lists" in drawn(test)
    records.delete(zoe, version=records.get(zoe, by=manager).version, by=manager)  # the dialog's button: in a browser
    test = screen(Role.MANAGER, at="contact", id=str(zoe))
    assert "**Deleted** by An manager" in drawn(test)
    assert "zoe@acme.example" in drawn(test)
    assert "Edit" not in labels(test)
    with pytest.raises(Gone):
        records.get(zoe, by=manager)
    assert "was deleted" in drawn(screen(Role.ANALYST, at="contact", id=str(zoe)))
    assert "Müller" not in drawn(screen(Role.ANALYST, at="contact", id=str(zoe)))
    test = press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Restore")
    assert "Edit" in labels(test)
    assert [one.what for one in history.of_contact(zoe, by=manager)] == [What.RESTORED, What.DELETED, What.CREATED]


def test_a_change_is_undone(screen: Screen, zoe: int, manager: Actor, admin: Actor) -> None:
    change(zoe, admin, title="CFO", city="Bonn")
    change(zoe, admin, title="COO")
    test = screen(Role.MANAGER, at="contact", id=str(zoe))
    assert labels(test).count("Undo this change") == 1  # the older one touches a field that was changed again
    test = press(test, "Undo this change")
    assert toasts(test) == ["The change was undone"]
    assert records.get(zoe, by=manager).values["title"] == "CFO"
    assert labels(screen(Role.ANALYST, at="contact", id=str(zoe))).count("Undo this change") == 0


def test_what_an_undone_import_left_unchanged_is_not_offered_for_undo(screen: Screen, zoe: int) -> None:
    with writing(OPERATOR) as session:
        sheet = Import(state="committed", file_name="x.csv", file_path="", overrides={}, match="auto", keep="theirs")
        session.add(sheet)
        session.flush()
        import_id = sheet.id
    with writing(OPERATOR, import_id=import_id) as session:
        values = {"extra": {"Shoe": "42"}, "import_id": import_id}
        session.execute(update(Contact).where(Contact.id == zoe).values(**values))
    with writing(OPERATOR) as session:
        undo.undo_import(session, import_id)
    test = screen(Role.MANAGER, at="contact", id=str(zoe))
    assert "Import taken back" in drawn(test)
    assert "Undo this change" not in labels(test)


def test_a_contact_is_made_with_a_warning_of_those_like_it(screen: Screen, manager: Actor, zoe: int) -> None:
    values = {"first_name": "Jo", "title": "CTO", "company": "Acme", "email": "jo@acme.example"}
    jo = records.create(values, by=manager)
    test = screen(Role.MANAGER, at="contact", new="1")
    assert "Nobody like this so far" in drawn(test)
    control(test, "email").set_value("JO@acme.example").run()
    assert f"**[Jo](/contact?id={jo})**" in drawn(test)
    assert "CTO · Acme · jo@acme.example  \nsame e\\-mail" in drawn(test)
    control(test, "last_name").set_value("Other").run()
    control(test, "employees").set_value("many").run()
    assert "“many” is not a whole number" in drawn(press(test, "Create contact"))
    control(test, "employees").set_value("1,200").run()
    test = press(test, "Create contact")
    assert f"Jo \\(contact {jo}\\) is there already\\: same e\\-mail. Nothing was created." in drawn(test)
    test = press(test, "Create contact")  # the second click of two: it creates nothing either
    assert "Nothing was created." in drawn(test)
    control(test, "email").set_value("zoe@acme.example").run()
    test = press(test, "Create anyway")
    assert "is there already" in drawn(test)  # another one, of whom nobody was asked
    test = press(test, "Create anyway")
    assert [one.value for one in test.title] == ["Other"]
    made = records.get(int(test.query_params["id"]), by=manager)
    assert (made.values["employees"], made.values["status"], made.created_by) == (1200, "active", "An manager")


def test_a_new_contact_that_was_not_saved_goes_on(screen: Screen) -> None:
    control(screen(Role.ADMIN, at="contact", new="1"), "title").set_value("CTO").run()
    test = screen(Role.ADMIN, at="contact", new="1")
    assert control(test, "title").value == "CTO"
    assert "Goes on from what you typed at" in drawn(test)
    discard(test)
    assert control(screen(Role.ADMIN, at="contact", new="1"), "title").value == ""


def test_a_new_contact_needs_to_be_somebody_and_can_be_left(screen: Screen) -> None:
    test = press(screen(Role.MANAGER, at="contact", new="1"), "Create contact")
    assert "A contact needs a name, an e\\-mail or a company." in drawn(test)
    test = press(test, "Discard")
    assert test.dataframe


def test_analysts_create_nothing(screen: Screen) -> None:
    test = screen(Role.ANALYST, at="contact", new="1")
    assert "You may not create contacts" in drawn(test)
    assert not test.text_input


def test_what_no_field_took_is_for_who_sees_everything(screen: Screen, zoe: int, site: Site) -> None:
    with writing(OPERATOR) as transaction:
        transaction.execute(
            text("UPDATE contacts SET extra = :extra WHERE id = :id"),
            {"extra": json.dumps({"<b>Shoe</b>": "43 <script>", "n": [1]}), "id": zoe},
        )
    said = drawn(screen(Role.ADMIN, at="contact", id=str(zoe)))
    assert "&lt;b&gt;Shoe&lt;/b&gt;" in said
    assert "43 &lt;script&gt;" in said
    assert "Shoe" not in drawn(screen(Role.ANALYST, at="contact", id=str(zoe)))


def test_an_edit_by_who_may_no_longer_is_refused(
    screen: Screen, zoe: int, manager: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = press(screen(Role.MANAGER, at="contact", id=str(zoe)), "Edit")
    control(test, "title").set_value("CTO").run()
    reader = Actor(manager.id, "An manager", Role.ANALYST)
    monkeypatch.setattr(session, "someone", lambda: reader)
    assert "Not saved. You may not edit contacts" in drawn(press(test, "Save changes"))


def test_the_arrows_lead_through_the_list_one_came_from(screen: Screen, site: Site, manager: Actor) -> None:
    for first in ("Ada", "Bea", "Cid"):
        records.create({"first_name": first, "last_name": "Order", "country": "Chad"}, by=manager)
    listed = search.page(filters.parse(["country=Chad"], by=manager), sort="first_name", by=manager).rows
    ids = [row["id"] for row in listed]
    test = screen(Role.MANAGER, at="contact", id=str(ids[0]), country="Chad", sort="first_name")
    assert "1 of 3" in drawn(test)
    assert next(one for one in test.button if one.key == "Previous contact").disabled
    for place in (1, 2):
        test = next(one for one in test.button if one.key == "Next contact").click().run()
        assert test.query_params == {"id": str(ids[place]), "country": "Chad", "sort": "first_name"}
        assert f"{place + 1} of 3" in drawn(test)
    assert next(one for one in test.button if one.key == "Next contact").disabled
    test = screen(Role.MANAGER, at="contact", id=str(ids[0]), countri="Chad")  # no list: the contact shows all the same
    assert "Ada Order" in [one.value for one in test.title]
    assert "Next contact" not in [one.key for one in test.button]


def test_the_way_back_leads_to_the_page_where_the_contact_stands(screen: Screen, manager: Actor) -> None:
    contact = search.page(filters.parse([], by=manager), number=3, size=50, by=manager).rows[0]["id"]
    test = press(screen(Role.MANAGER, at="contact", id=str(contact), columns="title,company"), "Contacts")
    assert test.query_params == {"columns": "title,company", "page": "3"}
    test = screen(Role.MANAGER, at="contact", id=str(contact), page="2")
    assert press(test, "Contacts").query_params == {"page": "2"}
    test = screen(Role.MANAGER, at="contact", id=str(contact), page="2")
    next(one for one in test.button if one.key == "Previous contact").click().run()
    assert press(press(test, "Edit"), "Contacts").query_params == {"page": "2"}
    assert press(screen(Role.MANAGER, at="contact", id=str(contact), countri="Chad"), "Contacts").query_params == {
        "countri": "Chad"
    }


@pytest.mark.shared_data
def test_naughty_texts_stand_as_text_in_every_field(screen: Screen, admin: Actor, shared_data: Path) -> None:
    strings = json.loads((shared_data / "corpora/blns/blns.json").read_text(encoding="utf-8"))
    naughty = [one for one in strings if one.strip() and "\x00" not in one and len(one) <= 300]
    texts = [field.column for field in FIELDS.values() if field.is_text]
    lists = [field.column for field in FIELDS.values() if field.kind is Kind.LIST]
    for start in range(0, len(naughty), len(texts)):
        some = naughty[start : start + len(texts)]
        values: dict[str, Any] = dict(zip(texts, some, strict=False))
        values |= dict.fromkeys(lists, some[:3])
        with writing(admin) as transaction:
            contact = transaction.scalars(insert(Contact).returning(Contact.id).values(**values)).one()
        change(contact, admin, employees="5")
        test = screen(Role.ADMIN, at="contact", id=str(contact))
        said = drawn(test)
        for name, value in values.items():
            for one in value if isinstance(value, list) else [value]:
                assert escape(one) in said.replace("<wbr>", "") or FIELDS[name].kind in (
                    Kind.URL,
                    Kind.EMAIL,
                    Kind.PHONE,
                ), one
        assert "<script" not in "".join(html(test))
        test = press(test, "Edit")
        assert not test.exception
        assert control(test, "title").value == values.get("title", "")


def test_each_operation_has_its_line(zoe: int) -> None:
    with reading() as transaction:
        found = transaction.query(AuditLine).where(AuditLine.subject == f"contact {zoe}").all()
        assert [line.event for line in found] == [Event.CONTACT_CREATED]
