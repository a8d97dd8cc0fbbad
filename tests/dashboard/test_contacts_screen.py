import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, insert
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button, TextInput

from dashboard import cached
from dashboard.widgets import row_buttons
from dashboard.widgets.page import plain
from models import filters, kept, preferences, sign_ins
from models.contacts import mirror, search
from models.contacts.bulk import Batch
from models.contacts.table import FIELDS, Contact
from models.database import writing
from models.permissions import OPERATOR, Role
from tests.dashboard.conftest import NARROW, Site, click_in_table
from tests.dashboard.contacts_data import ROWS

Screen = Callable[..., AppTest]


def notes(test: AppTest) -> list[str]:
    assert not test.exception, test.exception
    return [caption.value for caption in test.caption]


def button(test: AppTest, label: str) -> Button:
    return next(one for one in test.button if one.label == label)


@pytest.mark.parametrize("role", list(Role))
def test_every_role_sees_the_contacts_and_their_exact_number(screen: Screen, role: Role) -> None:
    test = screen(role)
    assert f"**{ROWS}** contacts" in notes(test)
    assert f"1–50 of {ROWS}" in notes(test)
    assert len(test.dataframe[0].value) == 50


def test_without_a_session_there_is_only_the_form(screen: Screen) -> None:
    test = screen(None, country="Germany")
    assert [field.label for field in test.text_input] == ["Work e-mail", "Password"]
    assert not test.dataframe
    assert not test.pagination


def test_a_session_that_ends_shows_the_form_at_the_next_click(screen: Screen) -> None:
    test = screen(Role.MANAGER)
    sign_ins.sign_out(screen.token)  # type: ignore[attr-defined]
    test.pagination[0].set_value(2).run()
    assert not test.dataframe
    assert [field.label for field in test.text_input] == ["Work e-mail", "Password"]


def test_each_run_asks_once_who_is_there(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []
    known = sign_ins.actor_of
    monkeypatch.setattr(sign_ins, "actor_of", lambda token: asked.append(token) or known(token))
    test = screen(Role.MANAGER)
    assert len(asked) == 1
    test.run()
    assert len(asked) == 2


def test_what_a_rule_of_quality_looks_into_stands_beside_the_name(screen: Screen) -> None:
    asked = {"check.not": ["status_is_a_known_value", "row_has_name_email_or_company"]}
    assert list(screen(Role.ADMIN, **asked).dataframe[0].value.columns)[:5] == [
        "open", "full_name", "status", "email", "company",
    ]  # fmt: skip
    chosen = screen(Role.ADMIN, columns="title", **asked).dataframe[0].value
    assert list(chosen.columns) == ["open", "title"]


def test_the_analyst_sees_the_allowed_columns_only(screen: Screen) -> None:
    test = screen(Role.ANALYST)
    assert list(test.dataframe[0].value.columns) == ["open", "full_name", "title", "country", "created_at"]
    assert not any("E-mail" in one.label for one in test.button_group)
    offered = next(one for one in test.multiselect if one.label == "Shown, in this order").options
    assert offered == ["Name", *(FIELDS[name].label for name in NARROW), "Added", "Changed"]
    assert any("fields are hidden for you" in note for note in notes(test))


def test_a_hidden_field_in_the_address_is_refused(screen: Screen) -> None:
    for params in ({"email": "person1@brightstone.example"}, {"sort": "email"}, {"columns": "email"}):
        test = screen(Role.ANALYST, **params)
        assert not test.dataframe
        assert any("You may not see the column E\\-mail" in note for note in notes(test))


def test_the_address_filters_and_shows_its_sentence(screen: Screen, site: Site) -> None:
    test = screen(Role.ADMIN, country="Germany")
    assert f"**{site.in_germany}** of {ROWS} contacts" in notes(test)
    assert set(test.dataframe[0].value["country"]) == {"Germany"}
    assert button(test, "Country is **Germany**")


def test_chips_have_the_persons_numbers_and_days(screen: Screen) -> None:
    test = screen(Role.MANAGER, **{"employees.gte": "5000", "added.gte": "2020-03-31"})
    test.context = {"locale": "de-DE", "timezone": "Europe/Berlin"}
    labels = {one.label for one in test.run().button}
    day = plain("31.\N{NO-BREAK SPACE}März 2020")
    assert {f"Employees at least **{plain('5.000')}**", f"Added at least **{day}**"} <= labels


def test_a_condition_in_two_spellings_has_one_chip(screen: Screen) -> None:
    test = screen(Role.ADMIN, **{"country": "Germany", "country.is": "France"})
    button(test, "Country is **Germany or France**").click().run()
    assert test.query_params == {}


def test_a_chip_removes_its_filter_and_clear_all_every_one(screen: Screen) -> None:
    test = screen(Role.ADMIN, country=["Germany", "France"], seniority="VP")
    button(test, "Country is **Germany or France**").click().run()
    assert test.query_params == {"seniority": "VP"}
    button(test, "Clear all").click().run()
    assert test.query_params == {}
    assert f"**{ROWS}** contacts" in notes(test)


def test_facets_filter_and_write_the_address(screen: Screen, site: Site) -> None:
    test = screen(Role.ADMIN, page="3")
    country = next(one for one in test.multiselect if one.label == "Country")
    assert f"Germany · {site.in_germany}" in country.options
    country.set_value(["Germany"]).run()
    assert test.query_params == {"country": "Germany"}
    sizes = next(one for one in test.button_group if one.label == "Employees")
    number = search.count(filters.parse(["country=Germany", "employees=124"], by=OPERATOR), by=OPERATOR)
    assert f"51–200 :gray[{number}]" in sizes.options
    sizes.set_value(("employees.between", "51,200")).run()
    assert test.query_params == {"country": "Germany", "employees.between": "51,200"}
    assert set(test.dataframe[0].value["employees"]) == {124}
    next(one for one in test.button_group if one.label == "Employees").set_value(("employees.gte", "5001")).run()
    assert test.query_params == {"country": "Germany", "employees.gte": "5001"}


def test_a_facet_counts_without_its_own_choice(screen: Screen, site: Site) -> None:
    test = screen(Role.ADMIN, country="France")
    country = next(one for one in test.multiselect if one.label == "Country")
    assert f"Germany · {site.in_germany}" in country.options


def test_search_finds_parts_of_names(screen: Screen) -> None:
    test = screen(Role.ADMIN)
    next(one for one in test.text_input if one.label == "Search").set_value("zoë mül").run()
    assert test.query_params == {"q": "zoë mül"}
    assert set(test.dataframe[0].value["full_name"]) == {"Zoë Müller"}


def test_a_search_that_is_too_long_stays_in_its_box_and_is_refused_in_words(screen: Screen) -> None:
    def box(test: AppTest) -> TextInput:
        return next(one for one in test.text_input if one.label == "Search")

    test = screen(Role.ADMIN, country="Germany")
    before = notes(test)
    box(test).set_value("word " * 2_000).run()
    assert [one.value for one in test.error] == ["The search has 9,999 characters; 1,000 are the most."]
    assert box(test).value == "word " * 2_000
    assert notes(test) == before
    assert test.query_params == {"country": "Germany"}
    assert test.run().error, "until it is mended"
    box(test).set_value("oscar").run()
    assert not test.error
    assert test.query_params == {"country": "Germany", "q": "oscar"}


def test_pages_follow_each_other_without_gap_or_repetition(screen: Screen) -> None:
    seen: list[str] = []
    test = screen(Role.ADMIN)
    for page in range(1, -(-ROWS // 50) + 1):
        test.pagination[0].set_value(page).run()
        seen += list(test.dataframe[0].value["email"])
    assert len(seen) == len(set(seen)) == ROWS
    assert test.query_params == {"page": "7"}


def test_a_page_behind_the_last_is_the_last(screen: Screen) -> None:
    test = screen(Role.ADMIN, page="99")
    assert f"301–{ROWS} of {ROWS}" in notes(test)


def test_order_and_columns_come_from_the_address(screen: Screen) -> None:
    test = screen(Role.ADMIN, sort="-employees", columns="company,employees")
    table = test.dataframe[0].value
    assert list(table.columns) == ["open", "company", "employees"]
    assert table["employees"].is_monotonic_decreasing


def test_a_link_of_somebody_who_sees_more_leads_to_the_rest_of_it(screen: Screen, site: Site) -> None:
    test = screen(Role.ANALYST, **{"country": "Germany", "email.contains": "a", "country.empty": ["no", "yes"]})
    assert any("You may not see the column E\\-mail" in note for note in notes(test))
    button(test, "Go by the rest of it").click().run()
    assert test.query_params == {"country": "Germany", "country.empty": "no"}


def test_an_address_without_anything_to_go_by_offers_all_contacts_alone(screen: Screen) -> None:
    assert [one.label for one in screen(Role.ADMIN, countri="Germany").button][-1] == "Show all contacts"


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"countri": "Germany"}, "There is no field “countri” to filter by"),
        ({"employees.gte": "many"}, "“many” is no whole number"),
        ({"page": "-1"}, "page=-1: pages are numbers from 1"),
        ({"sort": "nothing"}, "There is no field “nothing”"),
        ({"columns": "company,nothing"}, "There is no column “nothing”"),
    ],
)
def test_a_bad_address_gets_its_sentence_and_a_way_out(screen: Screen, params: dict[str, str], sentence: str) -> None:
    test = screen(Role.ADMIN, **params)
    assert any(plain(sentence) in note for note in notes(test))
    button(test, "Show all contacts").click().run()
    assert f"**{ROWS}** contacts" in notes(test)
    assert test.query_params == {}


def test_nothing_found_says_so_and_offers_to_start_again(screen: Screen) -> None:
    test = screen(Role.ADMIN, title="Nobody has this")
    assert any("No contact matches" in one.value for one in test.markdown)
    button(test, "Clear all filters").click().run()
    assert f"**{ROWS}** contacts" in notes(test)


def test_values_from_files_are_not_read_as_markdown(screen: Screen) -> None:
    test = screen(Role.ADMIN, company="**bold** [a](http://x.example) $x$ :red[y]")
    chip = next(one.label for one in test.button if one.label.startswith("Company is"))
    joined = "http\u2060"
    assert chip == rf"Company is **\*\*bold\*\* \[a\]\({joined}\://x.example\) \$x\$ \:red\[y\]**"


HOSTILE = "[Sign in again](https://evil.example) www.evil.example"


@pytest.mark.parametrize(
    ("at", "params"),
    [
        ("contacts", {"employees.gte": HOSTILE}),
        ("contacts", {HOSTILE: "1"}),
        ("contacts", {"sort": HOSTILE}),
        ("contacts", {"columns": HOSTILE}),
        ("overview", {"employees.gte": HOSTILE}),
        ("overview", {"range": HOSTILE}),
        ("imports", {"id": HOSTILE}),
        ("contact", {"id": HOSTILE}),
    ],
)
def test_an_address_brings_no_markdown_of_its_own(screen: Screen, at: str, params: dict[str, str]) -> None:
    test = screen(Role.ADMIN, at=at, **params)
    [told] = [one for one in (*notes(test), *(one.value for one in test.markdown)) if "Sign in again" in one]
    assert r"\[Sign in again\]\(" in told
    assert "www.evil" not in told  # a link by itself


def test_alternatives_have_a_chip_each(screen: Screen) -> None:
    params = {"or1.country": "Germany", "or1.seniority": "VP", "or2.country": ["France", "India"]}
    test = screen(Role.ADMIN, **params)
    table = test.dataframe[0].value
    assert set(table["country"]) <= {"Germany", "France", "India"}
    assert [note for note in notes(test) if note in ("either", "or")] == ["either", "or"]
    button(test, "Country is **France or India**").click().run()
    assert test.query_params == {"or1.country": "Germany", "or1.seniority": "VP"}


def test_a_refusal_in_a_dialog_is_plain_text(screen: Screen) -> None:
    screen(Role.ADMIN)  # signs in
    test = AppTest.from_function(open_dialog, default_timeout=60).run()
    choose(test, "Field", "employees")
    choose(test, "Comparison", "is")
    write(test, "Value", HOSTILE)
    assert r"\[Sign in again\]\(" in test.error[0].value


def open_dialog() -> None:
    """AppTest reruns the whole page for a click in a dialog, which closes it: here the page is the dialog."""
    from dashboard import address, session
    from dashboard.widgets.filter_dialog import filter_dialog

    filter_dialog(address.read(by=session.actor()))


def test_the_dialog_adds_any_filter_and_alternatives(screen: Screen, site: Site) -> None:
    screen(Role.ADMIN)  # signs in
    test = AppTest.from_function(open_dialog, default_timeout=60)
    test.query_params["country"] = "Germany"
    test.run()
    choose(test, "Field", "city")
    choose(test, "Comparison", "starts")
    join = "Joined to the other filters"
    for text in ("Ber", "Pa"):
        write(test, "Value", text)
        next(one for one in test.button_group if one.label == join).set_value(1).run()
        button(test, "Add the filter").click().run()
    assert not test.exception, test.exception
    assert test.query_params == {"country": "Germany", "or1.city.starts": ["Ber", "Pa"]}
    offered = next(one for one in test.button_group if one.label == join).options
    assert offered == ["and", "with “City starts with Ber or Pa”", "or this"]

    choose(test, "Field", "employees")
    choose(test, "Comparison", "between")
    write(test, "From", "10")
    write(test, "To", "1.500.000")
    assert "is no number here" in test.error[0].value
    assert button(test, "Add the filter").disabled
    write(test, "To", "5")
    button(test, "Add the filter").click().run()
    assert "the first value is above the second" in test.error[0].value
    write(test, "To", "1,500,000")
    button(test, "Add the filter").click().run()
    assert test.query_params["employees.between"] == "10,1500000"

    choose(test, "Field", "email_status")
    offered = next(one for one in test.multiselect if one.label == "Values").options
    assert any(option.startswith("Verified · ") for option in offered)


def test_the_dialog_counts_values_under_all_other_filters_and_what_is_typed_finds_any(
    screen: Screen, site: Site
) -> None:
    def counted(*conditions: str) -> str:
        return str(search.count(filters.parse(conditions, by=OPERATOR), by=OPERATOR))

    def values(test: AppTest, label: str) -> dict[str, str]:
        offered = next(one for one in test.multiselect if one.label == label).options
        return dict(one.split(" · ") for one in offered)

    screen(Role.ADMIN)  # signs in
    test = AppTest.from_function(open_dialog, default_timeout=60)
    test.query_params["country"] = "Germany"
    test.query_params["city"] = "Berlin"
    test.run()
    choose(test, "Field", "city")
    assert values(test, "Values")["Paris"] == counted("country=Germany", "city=Paris"), "beside Berlin, not within"
    choose(test, "Field", "email")
    assert [one.label for one in test.multiselect] == [], "each contact has its own"
    write(test, "Value", "PERSON1")
    found = values(test, "That begin so")
    assert len(found) == int(counted("country=Germany", "city=Berlin", "email.starts=person1")) > 0
    assert set(found.values()) == {"1"}
    first, other = next(iter(found)), "person200@brightstone.example"
    next(one for one in test.multiselect if one.label == "That begin so").set_value([first]).run()
    write(test, "Value", other)
    assert next(one for one in test.multiselect if one.label == "That begin so").value == [first], "it stays chosen"
    button(test, "Add the filter").click().run()
    assert test.query_params["email"] == first
    choose(test, "Field", "last_name")
    write(test, "Value", "Nobody")
    button(test, "Add the filter").click().run()
    assert test.query_params["last_name"] == "Nobody", "nothing is lost for want of an Enter"


def test_the_dialog_offers_values_of_whatever_the_mirror_has_a_dictionary_of(
    screen: Screen, site: Site, tmp_path: Path
) -> None:
    screen(Role.ADMIN)  # signs in
    test = AppTest.from_function(open_dialog, default_timeout=60)
    test.query_params["country"] = "Germany"
    with mirror.held(tmp_path, threads=1, memory="200MB") as made:
        assert made.wait(60)
        choose(test.run(), "Field", "title")
        offered = next(one for one in test.multiselect if one.label == "Values").options
    counts = search.count_by(filters.parse(["country=Germany"], by=OPERATOR), "title", by=OPERATOR)
    assert offered == [f"{value} · {number}" for value, number in counts]


def test_a_facet_of_more_values_than_are_listed_takes_any_and_counts_it(
    screen: Screen, site: Site, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(cached, "FACET_VALUES", 2)
    request.addfinalizer(kept.drop)
    kept.drop()
    number = search.count(filters.parse(["country=United States"], by=OPERATOR), by=OPERATOR)
    test = screen(Role.ADMIN, country="United States")
    country = next(one for one in test.multiselect if one.label == "Country")
    assert len(country.options) == 3
    assert f"United States · {number}" in country.options, "also where two others are commoner"
    country.set_value(["United States", "France"]).run()
    assert test.query_params == {"country": ["United States", "France"]}


def write(test: AppTest, label: str, text: str) -> None:
    next(one for one in test.text_input if one.label == label).set_value(text).run()


def choose(test: AppTest, label: str, value: str) -> None:
    next(one for one in test.selectbox if one.label == label).set_value(value).run()


def test_columns_and_density_are_remembered_for_the_person(screen: Screen, site: Site) -> None:
    test = screen(Role.MANAGER, columns="company")
    next(one for one in test.multiselect if one.label == "Shown, in this order").set_value(["company", "city"]).run()
    next(one for one in test.button_group if one.label == "Row height").set_value("Compact").run()
    next(one for one in test.button_group if one.label == "Contacts on a page").set_value(100).run()
    assert test.query_params == {}

    again = screen(Role.MANAGER)
    assert list(again.dataframe[0].value.columns) == ["open", "company", "city"]
    assert len(again.dataframe[0].value) == 100
    assert again.dataframe[0].proto.row_height == 28
    button(again, "Back to the standard columns").click().run()
    assert "full_name" in again.dataframe[0].value.columns
    next(one for one in again.button_group if one.label == "Contacts on a page").set_value(50).run()
    next(one for one in again.button_group if one.label == "Row height").set_value("Normal").run()
    assert preferences.get("contacts style", by=site.people[Role.MANAGER].actor()) == {"size": 50, "density": "Normal"}


def test_what_one_person_chose_is_nobody_elses(screen: Screen, site: Site) -> None:
    manager = site.people[Role.MANAGER].actor()
    preferences.put("contacts style", {"size": 100, "density": "Compact"}, by=manager)
    assert len(screen(Role.MANAGER).dataframe[0].value) == 100
    assert len(screen(Role.ADMIN).dataframe[0].value) == 50
    preferences.forget("contacts style", by=manager)


def test_the_order_can_be_any_visible_field(screen: Screen) -> None:
    test = screen(Role.ADMIN)
    choose(test, "Order by", "employees")
    assert test.query_params == {"sort": "-employees"}
    next(one for one in test.button_group if one.label == "Direction").set_value("A–Z").run()
    assert test.query_params == {"sort": "employees"}
    assert "email" not in next(one for one in screen(Role.ANALYST).selectbox if one.label == "Order by").options


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE contacts; --", "<img src=x onerror=alert(1)>", "שלום\u202e", "e\u0301%_\\"]
)
def test_signs_of_other_languages_are_searched_as_they_stand(screen: Screen, text: str) -> None:
    test = screen(Role.ADMIN, q=text)
    assert any("No contact has “" in one.value for one in test.markdown)
    assert next(one for one in test.text_input if one.label == "Search").value == " ".join(text.split())


def test_a_search_of_ten_thousand_characters_is_refused_in_words(screen: Screen) -> None:
    assert any("has 10,000 characters" in note for note in notes(screen(Role.ADMIN, q="x" * 10_000)))


def ticked(test: AppTest, *rows: int) -> AppTest:
    test.session_state[test.dataframe[0].key] = {"selection": {"rows": list(rows), "columns": [], "cells": []}}
    return test.run()


def test_all_are_selected_only_while_the_same_rows_are_ticked(screen: Screen) -> None:
    test = ticked(screen(Role.MANAGER), 0, 1, 2)
    button(test, f"Select all {ROWS}").click().run()
    assert f"**{ROWS} selected**" in [one.value for one in test.markdown]
    assert "**2 selected**" in [one.value for one in ticked(test, 0, 2).markdown]
    assert "**3 selected**" in [one.value for one in ticked(test, 0, 1, 2).markdown]
    button(test, f"Select all {ROWS}").click().run()
    button(test, "Only the ticked").click().run()
    assert "**3 selected**" in [one.value for one in test.markdown]


def test_ticks_are_kept_from_page_to_page(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    monkeypatch.setattr("dashboard.widgets.copy_dialog.copy_now", copied.append)
    monkeypatch.setattr("dashboard.widgets.copy_dialog.confirmed", lambda *_, **__: True)  # AppTest loses the dialog
    test = ticked(screen(Role.MANAGER, columns="email"), 0, 3)
    addresses = [test.dataframe[0].value["email"][place] for place in (0, 3)]
    test.query_params["page"] = "2"
    test = ticked(test.run(), 1)
    addresses.append(test.dataframe[0].value["email"][1])
    assert "**3 selected**" in [one.value for one in test.markdown]
    next(one for one in test.button if one.key == "copy e-mails").click().run()
    numbers = {metric.label: metric.value for metric in test.metric}
    assert (numbers["With a value"], numbers["Takes credits"]) == ("3", "3")
    assert copied == ["\n".join(addresses)]

    test.query_params["page"] = "1"
    test.run()
    assert first_ticks(test) == [0, 3]
    test.query_params["q"] = "anna"
    assert not any("selected**" in one.value for one in test.run().markdown)
    del test.query_params["q"]
    assert "**3 selected**" not in [one.value for one in test.run().markdown]


def test_ticks_are_those_that_were_left_when_one_comes_back(screen: Screen) -> None:
    test = ticked(screen(Role.MANAGER), 0, 3)
    test.query_params["page"] = "2"
    test.run()
    test.query_params["page"] = "1"
    test.run()
    assert first_ticks(test) == [0, 3]
    ticked(test, 3)
    button(test, "Open").click().run()
    test = button(test, "Contacts").click().run()
    del test.query_params["id"]  # AppTest keeps the address of the other screen
    test.run()
    assert first_ticks(test) == [3]
    test.query_params["q"] = "nobody at all"
    test.run()
    del test.query_params["q"]
    assert first_ticks(test.run()) == []
    assert not any("selected**" in one.value for one in test.markdown)


def test_a_ticked_contact_of_another_page_that_is_gone_is_no_longer_selected(
    screen: Screen, newcomers: Callable[[], None]
) -> None:
    newcomers()
    test = ticked(screen(Role.MANAGER), 0, 4)
    test.query_params["page"] = "2"
    assert "**2 selected**" in [one.value for one in test.run().markdown]
    with writing(OPERATOR) as session:
        session.execute(delete(Contact).where(Contact.email == "n2@new.example"))
    assert "**1 selected**" in [one.value for one in test.run().markdown]


def first_ticks(test: AppTest) -> list[int]:
    found: list[int] = json.loads(test.dataframe[0].proto.selection_default)["selection"]["rows"]
    return found


def test_ways_to_the_deleted_and_to_the_overview(screen: Screen) -> None:
    test = screen(Role.MANAGER, country="Germany")
    next(one for one in test.button if one.key == "to overview").click().run()
    assert (test.title[0].value, test.query_params) == ("Overview", {"country": "Germany"})
    button(screen(Role.MANAGER), "Deleted contacts").click().run()
    assert not any(one.label == "Deleted contacts" for one in screen(Role.ANALYST).button)


def test_the_ticked_contact_opens_by_a_button(screen: Screen) -> None:
    test = ticked(screen(Role.MANAGER, sort="last_name"), 2)
    [*_, third] = search.page(filters.Filters(), sort="last_name", size=3, by=OPERATOR).rows
    button(test, "Open").click().run()
    assert (test.query_params["id"], test.query_params["sort"]) == (str(third["id"]), "last_name")


def test_a_click_on_the_header_of_a_list_orders_nothing(screen: Screen) -> None:
    test = screen(Role.MANAGER)
    test.session_state[test.dataframe[0].key] = {"selection": {"rows": [], "columns": ["tags"], "cells": []}}
    test.run()
    assert f"1–50 of {ROWS}" in notes(test)
    assert test.query_params == {}


def test_what_cannot_be_undone_is_said_and_can_be_tried_again(screen: Screen, site: Site) -> None:
    test = screen(Role.MANAGER)
    somebody = site.people[Role.ADMIN].id
    remembered = test.session_state["remembered"]
    remembered.batch, remembered.done = Batch("changed", "city", 1, 1, 1, "2026-01-01", somebody), "Changed: 1 contact."
    button(test.run(), "Undo").click().run()
    assert not test.exception
    assert "You may put back only what you changed yourself" in test.error[0].value
    assert button(test, "Undo")


@pytest.fixture
def newcomers() -> Iterator[Callable[[], None]]:
    """Call it for contacts that somebody else's import brings meanwhile, before all others."""

    def arrive() -> None:
        with writing(OPERATOR) as session:
            session.execute(
                insert(Contact), [{"last_name": "Newcomer", "email": f"n{n}@new.example"} for n in range(3)]
            )

    yield arrive
    with writing(OPERATOR) as session:
        session.execute(delete(Contact).where(Contact.last_name == "Newcomer"))


def test_a_click_opens_the_row_that_was_seen_though_the_list_has_moved(
    screen: Screen, newcomers: Callable[[], None]
) -> None:
    test = screen(Role.MANAGER)
    [seen] = search.page(filters.Filters(), size=1, by=OPERATOR).rows
    newcomers()
    test = click_in_table(test, "open", 0)
    assert not test.exception
    assert test.query_params["id"] == str(seen["id"])


def test_a_click_copies_the_number_that_was_seen(
    screen: Screen, newcomers: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []
    monkeypatch.setattr("dashboard.widgets.contact_table.copy_now", copied.append)
    test = screen(Role.MANAGER, columns="email")
    seen = test.dataframe[0].value["email"][1]
    newcomers()
    click_in_table(test, "email", 1)
    assert copied == [seen]


def test_a_click_on_a_row_of_a_list_that_is_shorter_now_means_that_row(screen: Screen) -> None:
    test = screen(Role.ADMIN, page="2")
    seen = search.page(filters.Filters(), size=50, number=2, by=OPERATOR).rows[49]
    test.query_params["page"] = "7"  # 20 rows
    test = click_in_table(test, "open", 49)
    assert not test.exception
    assert test.query_params["id"] == str(seen["id"])


def test_a_late_click_on_rows_that_are_gone_by_now_means_them(screen: Screen, newcomers: Callable[[], None]) -> None:
    test = screen(Role.MANAGER)
    [seen] = search.page(filters.Filters(), size=1, by=OPERATOR).rows
    late = test.dataframe[0].proto.button_click_widgets["open"]
    newcomers()
    test.run()
    assert test.dataframe[0].proto.button_click_widgets["open"] != late
    test.dataframe[0].proto.button_click_widgets["open"] = late
    test = click_in_table(test, "open", 0)
    assert test.query_params["id"] == str(seen["id"])


def test_a_long_day_of_turning_pages_makes_no_more_buttons(screen: Screen) -> None:
    test, buttons = screen(Role.MANAGER), []
    for page in range(1, 7):
        test.query_params["page"] = str(page)
        buttons.append(test.run().dataframe[0].proto.button_click_widgets["open"])
    assert len(set(buttons)) == row_buttons.PAINTS
    assert test.run().dataframe[0].proto.button_click_widgets["open"] == buttons[-1]


def delete_dialog(confirmed: int) -> None:
    """The dialog over and over, as its own fragment runs; `confirmed` is what the person was told."""
    from dashboard.widgets.bulk_actions import _delete
    from models.contacts.bulk import Selection
    from models.filters import Filters

    _delete(Selection(Filters()), confirmed)


def test_what_was_not_confirmed_is_not_deleted(screen: Screen) -> None:
    screen(Role.MANAGER)  # signs in
    test = AppTest.from_function(delete_dialog, args=(ROWS - 2,), default_timeout=60).run()
    button(test, f"Delete {ROWS - 2} contacts").click().run()
    assert [one.value for one in test.error] == [
        f"Confirmed were {ROWS - 2}, but {ROWS} match by now\\: nothing was changed. "
        "Look at the contacts again, then repeat it."
    ]
    assert search.count(filters.Filters(), by=OPERATOR) == ROWS


def test_one_wrong_letter_shows_what_is_meant_with_its_numbers_and_the_way_back(
    screen: Screen, site: Site, tmp_path: Path
) -> None:
    with mirror.held(tmp_path, threads=1, memory="200MB") as made:
        assert made.wait(60)
        number = search.count(filters.parse(["q=fischer", "country=Germany"], by=OPERATOR), by=OPERATOR)
        test = screen(Role.MANAGER, q="fishcer", country="Germany")
        told = "No contact that matches the filters has “fishcer”: these have **“fischer”**."
        assert [one.value for one in test.info] == [told]
        assert f"**{number}** of {ROWS} contacts" in notes(test)
        assert len(test.dataframe[0].value) == number
        assert test.text_input(key="q").value == "fishcer"
        facet = next(one for one in test.multiselect if one.label == "Industry")
        assert {int(option.rpartition("· ")[2]) for option in facet.options} != {0}
        button(test, "Search as typed").click().run()
        assert (test.query_params["q"], test.query_params["exact"]) == ("fishcer", "yes")
        assert (list(test.info), f"**0** of {ROWS} contacts" in notes(test)) == ([], True)
        button(test, "Show “fischer”").click().run()
        assert "exact" not in test.query_params
        assert f"**{number}** of {ROWS} contacts" in notes(test)
        elsewhere = screen(Role.MANAGER, q="fishcer", country="Nowhere")
        assert (list(elsewhere.info), f"**0** of {ROWS} contacts" in notes(elsewhere)) == ([], True)


def test_another_search_is_not_meant_exactly(screen: Screen) -> None:
    test = screen(Role.MANAGER, q="fishcer", exact="yes")
    test.text_input(key="q").set_value("fishcr").run()
    assert (test.query_params["q"], "exact" in test.query_params) == ("fishcr", False)
