"""The places of countries on the map, which knows them by ISO 3166-1 alpha-3."""

import json
from functools import cache
from pathlib import Path

from models.contacts import countries

WORLD = Path(__file__).parents[1] / "static" / "world_110m.json"
# Countries too small for a shape at the map's scale, as points: latitude and longitude.
POINTS = {
    "SGP": (1.35, 103.82), "HKG": (22.32, 114.17), "MAC": (22.2, 113.55), "BHR": (26.07, 50.55), "MLT": (35.9, 14.45),
    "MDV": (3.2, 73.22), "SYC": (-4.68, 55.49), "XKK": (42.6, 20.9), "LIE": (47.16, 9.55), "MCO": (43.74, 7.42),
    "AND": (42.55, 1.58), "SMR": (43.94, 12.46), "GIB": (36.14, -5.35), "JEY": (49.21, -2.13), "GGY": (49.46, -2.58),
    "IMN": (54.24, -4.55), "FRO": (62.0, -6.79), "BMU": (32.31, -64.75), "CYM": (19.31, -81.25), "VGB": (18.43, -64.62),
    "BRB": (13.19, -59.54), "ATG": (17.06, -61.8), "LCA": (13.91, -60.98), "GRD": (12.12, -61.68),
    "ABW": (12.52, -69.97), "CUW": (12.17, -68.99), "VIR": (17.73, -64.73), "ALA": (60.2, 20.0), "COM": (-11.9, 43.4),
    "CPV": (15.1, -23.6), "DMA": (15.4, -61.4), "GLP": (16.2, -61.6), "GUF": (4.0, -53.0), "GUM": (13.4, 144.8),
    "MTQ": (14.6, -61.0), "MUS": (-20.3, 57.6), "PYF": (-17.6, -149.5), "REU": (-21.1, 55.5), "STP": (0.2, 6.6),
    "WSM": (-13.8, -172.1),
}  # fmt: skip


def code(name: str) -> str | None:
    """ISO 3166-1 alpha-3 of the country, whether or not the map has it; None where nobody could tell."""
    alpha_2 = countries.code(name)
    return alpha_3()[alpha_2] if alpha_2 else None


@cache
def on_the_map() -> frozenset[str]:
    """The codes of the countries that have a shape: at this scale the smallest ones have none."""
    world = json.loads(WORLD.read_text())
    return frozenset(shape["id"] for shape in world["objects"]["countries"]["geometries"] if "id" in shape)


@cache
def alpha_3() -> dict[str, str]:
    """Alpha-2 -> today's alpha-3: that of the map, else the last one."""
    return {
        alpha_2: next((one for one in known if one in on_the_map()), known[-1])
        for alpha_2, known in countries.alpha_3().items()
    }
