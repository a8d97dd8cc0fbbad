"""What charts say, show and give away: labels, descriptions, data, countries."""

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from babel import Locale
from sqlalchemy import delete, insert
from streamlit.testing.v1 import AppTest

from dashboard.widgets import chart_cards, countries
from dashboard.widgets.chart_download import as_csv
from dashboard.widgets.chart_map import placed, unplaced_words
from dashboard.widgets.charts import Chart, plain
from models.contacts.table import Contact
from models.database import writing
from models.permissions import OPERATOR, Role


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("Germany", "DEU"), ("germany ", "DEU"), ("Deutschland", "DEU"), ("DE", "DEU"), ("deu", "DEU"),
        ("USA", "USA"), ("U.S.A.", "USA"), ("United States of America", "USA"), ("Vereinigte Staaten", "USA"),
        ("UK", "GBR"), ("The United Kingdom", "GBR"), ("Scotland", "GBR"), ("GB", "GBR"),
        ("Côte d'Ivoire", "CIV"), ("Cote d’Ivoire", "CIV"), ("Ivory Coast", "CIV"),
        ("日本", "JPN"), ("Österreich", "AUT"), ("Osterreich", "AUT"), ("Türkiye", "TUR"), ("Turkey", "TUR"),
        ("Bosnia & Herzegovina", "BIH"), ("Bosnia and Herzegovina", "BIH"), ("Russian Federation", "RUS"),
        ("Korea, Republic of", "KOR"), ("Viet Nam", "VNM"), ("France", "FRA"), ("Timor-Leste", "TLS"),
        ("Congo - Kinshasa", "COD"), ("Kosovo", "XKK"), ("Singapore", "SGP"), ("The Netherlands", "NLD"),
        ("Atlantis", None), ("", None), ("EU", None), ("XX", None), ("QUU", None), ("ZZ", None), ("12", None),
    ],
)  # fmt: skip
def test_countries_are_found_as_people_write_them(written: str, code: str | None) -> None:
    assert countries.code(written) == code


def test_every_name_of_a_country_in_english_is_found() -> None:
    three = countries.alpha_3()
    for alpha_2, name in Locale("en").territories.items():
        if alpha_2 in three:
            assert countries.code(name) == three[alpha_2], name


def test_each_point_is_a_country_without_a_shape() -> None:
    assert not set(countries.POINTS) & countries.on_the_map()
    assert set(countries.POINTS) <= set(countries.alpha_3().values())
    assert all(-90 <= lat <= 90 and -180 <= lon <= 180 for lat, lon in countries.POINTS.values())


def test_spellings_of_one_country_are_one_place() -> None:
    places, unplaced = placed({"France": 5, "Germany": 3, "Atlantis": 3, "Deutschland": 4, "Samoa": 1, "Niue": 1})
    assert [(place.code, place.contacts) for place in places] == [("DEU", 7), ("FRA", 5), ("WSM", 1)]
    assert places[0].spellings == ["Germany", "Deutschland"]
    assert unplaced == {"Atlantis": 3, "Niue": 1}


def test_what_has_no_place_is_said_in_words() -> None:
    assert unplaced_words({"Atlantis": 1}) == "1 contact in 1 country we could not place: Atlantis"
    many = {f"*{number}*": 2 for number in range(6)}
    words = unplaced_words(many)
    assert words.startswith(r"12 contacts in 6 countries we could not place: \*0\*, ")
    assert words.endswith(" and 2 more")
    assert len(unplaced_words({"x" * 5000: 1})) < 120


def test_labels_are_short_and_no_markup() -> None:
    assert plain("<b>bold</b> & co", 80) == "&lt;b&gt;bold&lt;/b&gt; &amp; co"
    assert plain("a\n b\t c") == "a b c"
    assert len(plain("x" * 500)) == 18
    assert plain("%{y}<br>", 80) == "%{y}&lt;br&gt;"


def test_the_description_names_the_first_and_counts_the_others() -> None:
    rows = [(f"Country {number}", 1000 + number) for number in range(20)]
    assert Chart("Top", ("Country", "Contacts"), rows[:2]).words() == "Top, Contacts: Country 0 1,000, Country 1 1,001"
    assert Chart("Top", ("Country", "Contacts"), rows).words().endswith("Country 11 1,011 and 8 more")
    assert "Nov 2026 7" in Chart("Growth", ("Month", "New"), [(date(2026, 11, 1), 7, 7)]).words()


def test_data_are_numbers_months_and_no_formulas() -> None:
    rows = [("Country", "Contacts"), ('=HYPERLINK("x")', 2), ("a,b", 1.5), ("+49", 1), (date(2026, 11, 1), 3)]
    assert as_csv(rows).decode("utf-8-sig").splitlines() == [
        "Country,Contacts", '"\'=HYPERLINK(""x"")",2', '"a,b",1.5', "'+49,1", "2026-11,3",
    ]  # fmt: skip
    assert as_csv(rows).startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize(
    ("spans", "filled"),
    [([2, 1, 1, 2, 1, 1, 4], [2, 1, 1, 2, 1, 1, 4]), ([2, 2, 1, 4], [2, 2, 4, 4]), ([2, 1, 4], [2, 2, 4]), ([1], [4])],
)
def test_the_last_card_of_a_row_fills_it(spans: list[int], filled: list[int]) -> None:
    cards = [(chart_cards.growth, span) for span in spans]
    assert [span for _, span in chart_cards._filling(cards)] == filled


def test_a_month_ends_with_its_last_day() -> None:
    assert chart_cards._month(date(2024, 2, 1)) == ["2024-02-01,2024-02-29"]
    assert chart_cards._month(date(2026, 12, 1)) == ["2026-12-01,2026-12-31"]


def drawn(spec: dict[str, Any]) -> str:
    """All of a chart but what its bars carry for a click, which Plotly draws nowhere."""
    for trace in spec["data"]:
        trace["customdata"] = [said for _, said in trace.get("customdata", [])]
    return str(spec)


def test_values_from_files_are_text_in_every_chart(screen: Callable[..., AppTest]) -> None:
    hostile = [
        "<b>bold</b>",
        "<a href='http://x.example'>x</a>",
        "%{y}",
        "$x$",
        "**b** [l](http://x.example)",
        "ع" * 300,
    ]
    with writing(OPERATOR) as session:
        session.execute(
            insert(Contact),
            [
                {"last_name": "Hostile", "country": value, "seniority": value, "email_status": value}
                for value in hostile
            ],
        )
    try:
        test = screen(Role.ADMIN, at="overview", last_name="Hostile")
        assert not test.exception
        specs = {one.proto.alt.partition(",")[0]: drawn(json.loads(one.proto.spec)) for one in test.get("plotly_chart")}
        for name in ("Seniority", "E-mail status", "Top countries"):
            assert "&lt;b&gt;bold&lt;/b&gt;" in specs[name]
            assert "<a href" not in specs[name]
            assert "<b>bold" not in specs[name]
            assert "ع" * 100 not in specs[name]
        assert r"\<a href" in "".join(one.value for one in test.caption)
    finally:
        with writing(OPERATOR) as session:
            session.execute(delete(Contact).where(Contact.last_name == "Hostile"))
