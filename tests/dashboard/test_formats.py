"""Numbers and moments are written as the browser's locale and time zone say."""

import pytest
from streamlit.testing.v1 import AppTest


def script() -> None:
    from datetime import UTC, date, datetime
    from decimal import Decimal

    import streamlit as st

    from dashboard import formats

    moment = datetime(2026, 11, 22, 23, 40, tzinfo=UTC)
    st.session_state["written"] = [
        formats.number(20_000),
        formats.number(Decimal("2100000.456"), digits=1),
        formats.compact(602_000_000),
        formats.compact(2_100_000),
        formats.compact(999),
        formats.share(626, 1000),
        formats.day(date(2026, 11, 22)),
        formats.moment(moment),
        formats.size(4_500),
        formats.counted(1, "contact"),
        formats.counted(1234, "contact"),
        formats.pattern(clock=True),
    ]


def written(locale: str | None, zone: str | None) -> list[str]:
    test = AppTest.from_function(script)
    test.context = {"locale": locale, "timezone": zone}
    test.run()
    assert not test.exception, test.exception
    return list(test.session_state["written"])


@pytest.mark.parametrize(
    ("locale", "zone", "expected"),
    [
        (
            "en-GB", "Europe/London",  # since CLDR 48 a small m, in Babel 2.19
            ["20,000", "2,100,000.5", "602m", "2.1m", "999", "62.6%", "22 Nov 2026", "22 Nov 2026, 23:40", "4.5 KB",
             "1 contact", "1,234 contacts", "D MMM YYYY, HH:mm"],
        ),
        (
            "de-DE", "Europe/Berlin",
            ["20.000", "2.100.000,5", "602\xa0Mio.", "2,1\xa0Mio.", "999", "62,6%", "22.\xa0Nov.\xa02026",
             "23.\xa0Nov.\xa02026, 00:40", "4,5 KB", "1 contact", "1.234 contacts",
             "D. MMM YYYY, HH:mm"],
        ),
        (
            "en-US", "America/New_York",
            ["20,000", "2,100,000.5", "602M", "2.1M", "999", "62.6%", "Nov 22, 2026", "Nov 22, 2026, 18:40", "4.5 KB",
             "1 contact", "1,234 contacts", "MMM D, YYYY, HH:mm"],
        ),
        (
            "pt-BR", "America/Sao_Paulo",
            ["20.000", "2.100.000,5", "602\xa0mi", "2,1\xa0mi", "999", "62,6%", "22 de nov.\xa0de 2026",
             "22 de nov.\xa0de 2026, 20:40", "4,5 KB", "1 contact", "1.234 contacts", "D [de] MMM [de] YYYY, HH:mm"],
        ),
    ],
)  # fmt: skip
def test_the_persons_way(locale: str, zone: str, expected: list[str]) -> None:
    assert written(locale, zone) == expected


@pytest.mark.parametrize(("locale", "zone"), [("xx-nowhere", "Mars/Base"), (None, None), ("en", "")])
def test_an_unknown_place_is_written_the_british_way_in_utc(locale: str | None, zone: str | None) -> None:
    assert written(locale, zone)[7] == "22 Nov 2026, 23:40"


def missing() -> None:
    import streamlit as st

    from dashboard import formats

    st.session_state["written"] = [formats.number(None), formats.day(None), formats.moment(None), formats.share(1, 0)]
    st.session_state["times"] = [formats.duration(seconds) for seconds in (0.4, 44, 252, 7500)]


def test_what_is_missing_and_how_long_it_took() -> None:
    test = AppTest.from_function(missing).run()
    assert test.session_state["written"] == ["–"] * 4
    assert test.session_state["times"] == ["0 s", "44 s", "4 min 12 s", "2 h 5 min"]
