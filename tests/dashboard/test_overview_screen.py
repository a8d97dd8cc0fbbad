import json
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import delete, insert, select
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from dashboard.widgets.page import plain
from models import filters, kept, passwords, users
from models.contacts import search
from models.contacts.table import FIELDS, Contact
from models.database import writing
from models.industries import Industry
from models.permissions import OPERATOR, Role
from tests.dashboard.conftest import NARROW, Site
from tests.dashboard.contacts_data import COMPANIES, INDUSTRIES, ROWS

Screen = Callable[..., AppTest]
EVERY_CARD = [
    "Growth", "Seniority", "E-mail status", "Where they are", "Top countries", "Top industries",
    "Completeness by field",
]  # fmt: skip


def titles(test: AppTest) -> list[str]:
    assert not test.exception, test.exception
    return [one.value for one in test.subheader]


def metric(test: AppTest, label: str) -> str:
    return next(one.value for one in test.metric if one.label == label)


def notes(test: AppTest) -> str:
    assert not test.exception, test.exception
    return "\n".join(caption.value for caption in test.caption)


def button(test: AppTest, label: str) -> Button:
    return next(one for one in test.button if one.label == label)


def alt(test: AppTest, name: str) -> str:
    return next(one.proto.alt for one in test.get("plotly_chart") if one.proto.alt.startswith(name))


@pytest.mark.parametrize("role", [Role.ADMIN, Role.MANAGER])
def test_who_sees_everything_sees_every_number(screen: Screen, site: Site, role: Role) -> None:
    test = screen(role, at="overview")
    assert titles(test) == EVERY_CARD
    assert f"· {ROWS} contacts in {len(COMPANIES)} companies" in notes(test)
    assert (metric(test, "Contacts"), metric(test, "New in 7 days")) == (f"{ROWS}", f"{ROWS}")
    assert metric(test, "Companies") == f"{len(COMPANIES)}"
    verified = search.count(filters.parse(["email_status=Verified"], by=OPERATOR), by=OPERATOR)
    assert metric(test, "Verified e-mails") == f"{verified / ROWS:.1%}"
    assert button(test, f"{verified} contacts")
    assert f"Germany {site.in_germany}" in alt(test, "Top countries")


def test_the_analyst_sees_nothing_of_hidden_fields(screen: Screen) -> None:
    test = screen(Role.ANALYST, at="overview")
    assert titles(test) == ["Growth", "Where they are", "Top countries", "Completeness by field"]
    assert [one.label for one in test.metric] == ["Contacts", "New in 7 days", "Fields filled"]
    assert f"· {ROWS} contacts" in notes(test)
    assert "companies" not in notes(test)
    told = alt(test, "Completeness")
    assert [FIELDS[name].label in told for name in NARROW] == [True] * len(NARROW)
    assert "E-mail" not in told


def test_the_address_filters_every_number_and_says_so(screen: Screen, site: Site) -> None:
    test = screen(Role.ADMIN, at="overview", country="Germany")
    assert metric(test, "Contacts") == f"{site.in_germany}"
    assert f"{site.in_germany} contacts in" in notes(test)
    assert "Germany" in alt(test, "Where they are")
    assert "France" not in alt(test, "Where they are")
    button(test, "Country is **Germany**").click().run()
    assert metric(test, "Contacts") == f"{ROWS}"
    assert test.query_params == {}


def test_alternatives_and_words_have_their_chips(screen: Screen) -> None:
    params = {"q": "o", "country": "India", "or1.seniority": "VP", "or2.employees.gte": "100", "range": "all"}
    test = screen(Role.ADMIN, at="overview", **params)
    chips = [one.label for one in test.button if one.icon == ":material/close:"]
    assert chips == ["Country is **India**", "Seniority is **VP**", "Employees at least **100**", "Search **o**"]
    button(test, "Search **o**").click().run()
    assert test.query_params == {key: value for key, value in params.items() if key != "q"}
    button(test, "Clear all").click().run()
    assert test.query_params == {"range": "all"}


@pytest.mark.parametrize(
    ("label", "condition"),
    [
        ("See Verified e-mails", {"email_status": "Verified"}),
        ("See With LinkedIn", {"person_linkedin_url.empty": "no"}),
        ("See Companies", {"company.empty": "no"}),
        ("See Average employees", {"employees.empty": "no"}),
        ("See Contacts", {}),
    ],
)
def test_a_metric_leads_to_its_contacts(screen: Screen, label: str, condition: dict[str, str]) -> None:
    test = screen(Role.ADMIN, at="overview", country="Germany")
    next(one for one in test.button if one.key == label.replace("See", "see")).click().run()
    assert not test.exception
    assert test.title[0].value == "Contacts"
    assert test.query_params == {"country": "Germany"} | condition


def bars(test: AppTest, name: str) -> list[list[str]]:
    """What the browser is told of each bar or country, and tells back when it is clicked."""
    spec = next(one.proto.spec for one in test.get("plotly_chart") if one.proto.alt.startswith(name))
    return [one for trace in json.loads(spec)["data"] for one in trace.get("customdata", [])]


def click(test: AppTest, name: str, bar: list[str]) -> AppTest:
    chart = next(one for one in test.get("plotly_chart") if one.proto.alt.startswith(name))
    states = test._tree.get_widget_states()
    states.widgets.add(id=chart.proto.id).string_value = json.dumps({"selection": {"points": [{"customdata": bar}]}})
    return test._run(states)


def come(**values: object) -> None:
    """Ten contacts more, of the name Mover."""
    with writing(OPERATOR) as session:
        industry = session.scalar(select(Industry.id).where(Industry.name == values.pop("industry")))
        session.execute(insert(Contact), [{"last_name": "Mover", "industry_id": industry, **values}] * 10)


@pytest.fixture
def movers(site: Site) -> Iterator[None]:
    come(country="France", seniority="Intern", email_status="Guessed", industry="Banking")
    yield
    with writing(OPERATOR) as session:
        session.execute(delete(Contact).where(Contact.last_name == "Mover"))


@pytest.mark.parametrize(
    ("name", "said", "condition"),
    [
        ("Seniority", "Intern: ", {"seniority": "Intern"}),
        ("E-mail status", "Guessed: ", {"email_status": "Guessed"}),
        ("Where they are", "France: ", {"country": "France"}),
        ("Top countries", "France: ", {"country": "France"}),
        ("Top industries", "Banking: ", {"industry": "Banking"}),
        ("Completeness", "Country: ", {"country.empty": "yes"}),
    ],
)
def test_a_click_means_the_bar_that_was_seen_though_the_numbers_have_moved(
    screen: Screen, movers: None, name: str, said: str, condition: dict[str, str]
) -> None:
    test = screen(Role.MANAGER, at="overview", last_name="Mover")
    place, told = next((place, bar) for place, bar in enumerate(bars(test, name)) if bar[1].startswith(said))
    for _ in range(2):
        come(country="Chile", seniority="VP", email_status="Verified", industry="Software", departments="Sales")
    test = click(test, name, told)
    assert not test.exception
    assert (test.title[0].value, test.query_params) == ("Contacts", {"last_name": "Mover"} | condition)
    assert not bars(screen(Role.MANAGER, at="overview", last_name="Mover"), name)[place][1].startswith(said)


def test_completeness_shows_what_is_partly_filled_and_names_what_is_empty(screen: Screen) -> None:
    test = screen(Role.MANAGER, at="overview")
    shares = [float(said.split(": ")[1].split("%")[0]) for _, said in bars(test, "Completeness")]
    assert shares == sorted(shares)
    assert shares[0] > 0
    assert "31 fields are empty: Departments, " in notes(test)
    assert "and 16 more" in notes(test)


def test_a_share_too_small_to_be_written_is_not_none(screen: Screen, site: Site) -> None:
    with writing(OPERATOR) as session:
        only = session.scalar(insert(Contact).values(last_name="Only", notes="one").returning(Contact.id))
    try:
        assert "&lt;1%" in next(
            one.proto.spec
            for one in screen(Role.MANAGER, at="overview").get("plotly_chart")
            if "Notes" in one.proto.alt
        )
    finally:
        with writing(OPERATOR) as session:
            session.execute(delete(Contact).where(Contact.id == only))


def test_new_contacts_are_no_others_than_the_filter_has(screen: Screen) -> None:
    test = screen(Role.ADMIN, at="overview", **{"added.gte": "2999-01-01"})
    assert "No contact matches" in "".join(one.value for one in test.markdown)
    test = screen(Role.ADMIN, at="overview", **{"added.gte": "2020-01-01"})
    since = next(one for one in test.button if one.key == "see New in 7 days")
    since.click().run()
    assert test.query_params["added.gte"] > "2020-01-01"


def test_see_these_contacts(screen: Screen) -> None:
    test = screen(Role.ANALYST, at="overview", country=["Germany", "France"], range="3m")
    button(test, "Show these contacts").click().run()
    assert test.title[0].value == "Contacts"
    assert test.query_params == {"country": ["Germany", "France"]}


def test_the_address_of_the_contacts_leads_here_and_back(screen: Screen, site: Site) -> None:
    came = {"country": "Germany", "sort": "title", "columns": "title,country", "page": "2"}
    test = screen(Role.MANAGER, at="overview", **came)
    assert metric(test, "Contacts") == f"{site.in_germany}"
    assert button(test, "Country is **Germany**")
    button(test, "Show these contacts").click().run()
    assert test.title[0].value == "Contacts"
    assert test.query_params == came

    test = screen(Role.MANAGER, at="overview", **came)
    next(one for one in test.button if one.key == "see Companies").click().run()
    assert test.query_params == {"country": "Germany", "company.empty": "no"} | {
        key: came[key] for key in ("sort", "columns")
    }


def test_growth_goes_as_far_back_as_the_address_says(screen: Screen) -> None:
    test = screen(Role.ADMIN, at="overview", range="3m")
    assert test.button_group[0].value == "3m"
    test.button_group[0].set_value("all").run()
    assert test.query_params == {"range": "all"}
    test.button_group[0].set_value("12m").run()
    assert test.query_params == {}


@pytest.mark.parametrize(
    ("role", "params", "sentence"),
    [
        (Role.ADMIN, {"countri": "Germany"}, "There is no field “countri” to filter by"),
        (Role.ADMIN, {"range": "forever"}, "range=forever: write 3m, 12m, all."),
        (Role.ANALYST, {"email": "person1@brightstone.example"}, "You may not see the column E-mail"),
    ],
)
def test_a_bad_address_gets_its_sentence(screen: Screen, role: Role, params: dict[str, str], sentence: str) -> None:
    test = screen(role, at="overview", **params)
    assert plain(sentence) in notes(test)
    assert not test.metric
    button(test, "Show all contacts").click().run()
    assert metric(test, "Contacts") == f"{ROWS}"


def test_nothing_found_offers_to_start_again(screen: Screen) -> None:
    test = screen(Role.ADMIN, at="overview", title="Nobody has this")
    assert not test.metric
    button(test, "Clear all filters").click().run()
    assert metric(test, "Contacts") == f"{ROWS}"


def test_industries_stand_by_name(screen: Screen) -> None:
    test = screen(Role.ADMIN, at="overview")
    assert all(name in alt(test, "Top industries") for name in INDUSTRIES)


class TestWithoutContacts:
    @pytest.fixture
    def site(self, db: str) -> Iterator[Site]:
        """In place of the module's own, which is not bound any more: these tests stand last."""
        kept.drop()
        yield _people(db)
        kept.drop()

    def test_who_may_import_is_shown_where(self, screen: Screen) -> None:
        test = screen(Role.MANAGER, at="overview")
        assert "No contacts yet" in "".join(one.value for one in test.markdown)
        assert not test.get("plotly_chart")
        button(test, "Import a file").click().run()
        assert test.title[0].value == "Imports"

    def test_who_may_not_is_told_who_does(self, screen: Screen) -> None:
        test = screen(Role.ANALYST, at="overview")
        assert "A manager imports files" in notes(test)
        assert "Import a file" not in [one.label for one in test.button]

    def test_one_contact_is_one(self, screen: Screen) -> None:
        with writing(OPERATOR) as session:
            session.execute(insert(Contact), [{"first_name": "Ada", "company": "Acme", "country": "Atlantis"}])
        test = screen(Role.ADMIN, at="overview")
        assert "1 contact in 1 company" in notes(test)
        assert "1 contact in 1 country we could not place: Atlantis" in notes(test)
        assert metric(test, "Average employees") == "–"

    def test_a_change_is_counted_at_once(self, screen: Screen) -> None:
        for number in (1, 2):
            with writing(OPERATOR) as session:
                session.execute(insert(Contact), [{"first_name": "Ada"}])
            assert metric(screen(Role.ADMIN, at="overview"), "Contacts") == f"{number}"


def _people(url: str) -> Site:
    stored = passwords.digest("correct horse battery")
    people = {role: users.User(email=f"{role}@x.example", name=role, role=role, password_hash=stored) for role in Role}
    with writing(OPERATOR) as session:
        session.add_all(people.values())
        session.flush()
        for user in people.values():
            session.refresh(user)
            session.expunge(user)
    return Site(url, 0, people)
