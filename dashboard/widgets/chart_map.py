"""The world, shaded by the number of contacts in each country."""

from dataclasses import dataclass, field
from math import log10
from typing import Any

import plotly.graph_objects as go

from dashboard import formats
from dashboard.widgets import countries, page
from dashboard.widgets.charts import HOVER, LONG, SAME, Chart, cut, plain, plot
from dashboard.widgets.page import token

NAMED, LONGEST = 4, 40  # countries without a place that are named below the map; characters of a name


@dataclass
class Place:
    """One country with all the spellings that contacts have for it."""

    code: str
    contacts: int = 0
    spellings: list[str] = field(default_factory=list)


def placed(values: dict[str, int]) -> tuple[list[Place], dict[str, int]]:
    """The countries that the map can show, and the values it cannot with their contacts; commonest first."""
    shown, places, unplaced = countries.on_the_map() | set(countries.POINTS), dict[str, Place](), dict[str, int]()
    for value, contacts in values.items():
        code = countries.code(value)
        if code not in shown:
            unplaced[value] = contacts
            continue
        place = places.setdefault(code, Place(code))
        place.contacts += contacts
        place.spellings.append(value)
    return sorted(places.values(), key=lambda place: -place.contacts), unplaced


def world(chart: Chart, places: list[Place], *, height: int) -> str | None:
    """The map of `places`, which are the chart's rows in their order. Returns the label of the row clicked."""
    shades = token("chartSequentialColors")[1:]
    logs = [log10(place.contacts) for place in places] or [0]  # countries differ by magnitudes, at least by one
    drawn = {
        "colorscale": [[place / (len(shades) - 1), shade] for place, shade in enumerate(shades)],
        "zmin": min(min(logs), max(logs) - 1),
        "zmax": max(logs),
    }
    figure = go.Figure([_shapes(chart, places, drawn), _points(chart, places, drawn)])
    figure.update_geos(
        projection_type="natural earth",
        showframe=False,
        showcoastlines=False,
        showland=True,
        landcolor=token("secondaryBackgroundColor"),
        showcountries=False,
        showlakes=False,
        bgcolor="rgba(0,0,0,0)",
        lataxis_range=[-56, 78],
        lonaxis_range=[-135, 160],
    )
    return plot(figure, chart, height=height)


def _shapes(chart: Chart, places: list[Place], drawn: dict[str, Any]) -> go.Choropleth:
    shown = [number for number, place in enumerate(places) if place.code not in countries.POINTS]
    return go.Choropleth(
        locations=[places[number].code for number in shown],
        z=[log10(places[number].contacts) for number in shown],
        showscale=False,
        marker={"line": {"width": 0.4, "color": token("backgroundColor")}},
        customdata=[_hover(chart, number) for number in shown],
        hovertemplate=HOVER,
        unselected=SAME,
        **drawn,
    )


def _points(chart: Chart, places: list[Place], drawn: dict[str, Any]) -> go.Scattergeo:
    shown = [number for number, place in enumerate(places) if place.code in countries.POINTS]
    return go.Scattergeo(
        lat=[countries.POINTS[places[number].code][0] for number in shown],
        lon=[countries.POINTS[places[number].code][1] for number in shown],
        marker={
            "size": 7,
            "color": [log10(places[number].contacts) for number in shown],
            "colorscale": drawn["colorscale"],
            "cmin": drawn["zmin"],
            "cmax": drawn["zmax"],
            "line": {"width": 0.6, "color": token("grayTextColor")},
        },
        customdata=[_hover(chart, number) for number in shown],
        hovertemplate=HOVER,
        unselected=SAME,
    )


def _hover(chart: Chart, number: int) -> tuple[str, str]:
    label, contacts = chart.rows[number]
    return chart.labels[number], f"{plain(label, LONG)}: {formats.number(contacts)}"


def unplaced_words(unplaced: dict[str, int]) -> str:
    """“312 contacts in 4 countries we could not place: Atlantis, ...”."""
    names = [page.plain(cut(name, LONGEST)) for name in list(unplaced)[:NAMED]]
    more = f" and {formats.number(len(unplaced) - NAMED)} more" if len(unplaced) > NAMED else ""
    contacts = formats.counted(sum(unplaced.values()), "contact")
    found = formats.counted(len(unplaced), "country", "countries")
    return f"{contacts} in {found} we could not place: {', '.join(names)}{more}"
