"""The quality of the data on its screen: rules with their trends, rows one click away, nothing of hidden columns."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from models import check_board, check_runs, check_switches
from models.check_runs import CheckState
from models.contacts import quality
from models.database import reading, writing
from models.permissions import OPERATOR, Role
from tests.checked import checked
from tests.dashboard.conftest import NARROW_MANAGER, Site, click_in_table

Screen = Callable[..., AppTest]
BROKEN = {"email_is_an_address": 2, "payment_is_in_rupees": 1, "title_is_not_too_long": 1}
TOLERATED = {"status_is_a_known_value": 1}


@pytest.fixture
def runs(site: Site) -> Iterator[None]:
    """Two runs that are done, with rules that came to be broken."""
    checked()
    checked(BROKEN | TOLERATED)
    yield
    with writing(OPERATOR) as session:
        session.execute(text("DELETE FROM check_runs; DELETE FROM check_switches; DELETE FROM mails"))


def said(test: AppTest) -> str:
    assert not test.exception, test.exception
    kinds = (test.markdown, test.caption, test.title, test.error, test.subheader)
    return "\n".join(one.value for kind in kinds for one in kind)


def labels(test: AppTest) -> list[str]:
    return [one.label for one in test.button]


def table(test: AppTest) -> list[tuple[str, int]]:
    shown = test.dataframe[0].value
    return list(zip(shown["rule"], shown["failing"], strict=True))


def test_nobody_has_checked_yet(screen: Screen, site: Site) -> None:
    assert "Nobody has checked the data yet" in said(screen(Role.ANALYST, at="quality"))
    test = screen(Role.MANAGER, at="quality")
    next(one for one in test.button if one.label == "Check now").click().run()
    newest = check_board.newest(by=OPERATOR)
    assert newest is not None
    assert newest.state is CheckState.WAITING
    assert "Checking the data" in said(screen(Role.ANALYST, at="quality"))
    check_runs.fail(newest.id, "The data checks did not finish.")
    assert "did not finish" in said(screen(Role.MANAGER, at="quality")).replace("\\", "")
    with writing(OPERATOR) as session:
        session.execute(text("DELETE FROM check_runs"))


def test_the_broken_rules_come_first_and_lead_to_their_contacts(screen: Screen, runs: None) -> None:
    test = screen(Role.ADMIN, at="quality")
    assert table(test)[:4] == [
        ("E-mail is an e-mail address.", 2),
        ("Title has at most 300 characters.", 1),
        ("A payment is in INR.", 1),
        (quality.named()["status_is_a_known_value"].sentence, 1),
    ]
    assert table(test)[4][1] == 0
    trends = test.dataframe[0].value["trend"]
    assert [list(trend) for trend in trends[:2]] == [[0.0, 20.0], [0.0, 10.0]]
    assert "Over time, to 20%" in test.dataframe[0].proto.columns
    opened = click_in_table(test, "open", 0, ":material/open_in_full:")
    assert dict(opened.query_params) == {"check": "email_is_an_address"}


def test_values_that_a_rule_tolerates_are_not_passed_over(screen: Screen, runs: None) -> None:
    test = screen(Role.ADMIN, at="quality")
    assert [(one.label, one.value) for one in test.metric][:2] == [
        ("Broken rules", "3"), ("Failing values", "5"),
    ]  # fmt: skip
    assert "1 within the tolerance of 1 rule" in said(test)
    shown = test.dataframe[0].value
    assert [one[0] for one in shown["state"]][2:5] == ["Broken", "Tolerated", "Holds"]
    assert [round(one) for one in shown["tolerance"]][2:4] == [0, 20]


def test_an_empty_field_leads_to_its_contacts(screen: Screen, runs: None) -> None:
    test = screen(Role.ADMIN, at="quality")
    fields = test.dataframe[1].value
    assert list(fields["share"]) == sorted(fields["share"])
    place = list(fields["field"]).index("Home Phone")
    opened = click_in_table(test, "open", place, ":material/open_in_full:", table=test.dataframe[1])
    assert dict(opened.query_params) == {"home_phone.empty": "yes"}


@pytest.mark.parametrize("who", [Role.ANALYST, NARROW_MANAGER])
def test_who_sees_some_columns_sees_their_rules_alone(screen: Screen, runs: None, who: Role | str) -> None:
    test = screen(who, at="quality")
    assert [rule for rule, _ in table(test)] == [
        "Title has at most 300 characters.", "First Name has at most 100 characters.",
        "Last Name has at most 100 characters.",
    ]  # fmt: skip
    assert set(test.dataframe[1].value["field"]) == {"First Name", "Last Name", "Title", "Country"}
    assert [one.value for one in test.metric][:2] == ["1", "1"]
    assert "pay_17" not in said(test)
    assert "Stops imports" not in [one.label for one in test.toggle]


@pytest.mark.parametrize("who", [Role.ADMIN, Role.MANAGER])
def test_only_an_administrator_switches_what_stops_imports(screen: Screen, runs: None, who: Role) -> None:
    def details() -> None:
        from dashboard.widgets import quality_rules
        from models import check_board
        from models.permissions import OPERATOR

        found = check_board.board(by=OPERATOR).rules
        quality_rules._details(next(one for one in found if one.name == "title_is_not_too_long"))

    screen(who, at="quality")  # who it is that looks
    test = AppTest.from_function(details, default_timeout=60).run()
    assert "1 of 10 values fail. None may." in said(test)
    assert "Show the 1 contact" in labels(test)
    [toggle] = test.toggle
    assert (toggle.label, toggle.value, toggle.disabled) == ("Stops imports", False, who is not Role.ADMIN)
    if who is Role.ADMIN:
        toggle.set_value(True).run()
        with reading() as session:
            assert check_switches.switched(session) == {"title_is_not_too_long": True}


def test_a_named_row_leads_to_itself(screen: Screen, runs: None) -> None:
    def details() -> None:
        from dashboard.widgets import quality_rules
        from models import check_board
        from models.permissions import OPERATOR

        found = check_board.board(by=OPERATOR).rules
        quality_rules._details(next(one for one in found if one.name == "payment_is_in_rupees"))

    screen(Role.ADMIN, at="quality")
    test = AppTest.from_function(details, default_timeout=60).run()
    assert "Payment pay\\_17" in labels(test)
    assert not test.toggle
