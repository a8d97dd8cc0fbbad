"""Why two contacts are perhaps the same: what each comparison weighs, as bars that add up."""

from html import escape

import streamlit as st

from dashboard import formats
from dashboard.widgets.page import card, css_colour
from models.duplicates.pairs import Pair

WIDEST = 46  # per cent of the line, for the longest bar


def reasons(pair: Pair) -> None:
    if pair.weight is None:
        return
    with card("Why", verdict(pair.weight)):
        start = pair.weight - sum(one.bits for one in pair.reasons)
        lines = [("Any two contacts", "before looking", start)]
        lines += [(one.title, one.found, one.bits) for one in pair.reasons]
        longest = max(abs(bits) for _, _, bits in [*lines, ("", "", pair.weight)]) or 1.0
        rows = "".join(_line(title, found, bits, longest) for title, found, bits in lines)
        st.html(
            f'{_style()}<ul class="weights">{rows}{_line("Together", verdict(pair.weight), pair.weight, longest)}</ul>'
        )
        st.caption("Each 10 to the right make it a thousand times as likely that both are the same.")


def verdict(weight: float) -> str:
    """“Nearly certain”."""
    for least, words in ((20, "nearly certain"), (10, "very likely"), (4, "likely")):
        if weight >= least:
            return words
    return "perhaps"


def _line(title: str, found: str, bits: float, longest: float) -> str:
    width = max(1.0, abs(bits) / longest * WIDEST)
    side, sign = ("for", "+") if bits >= 0 else ("against", "−")
    return (
        f'<li><span class="what"><b>{escape(title)}</b> {escape(found)}</span>'
        f'<span class="bits">{sign}{formats.number(abs(bits), digits=1)}</span>'
        f'<span class="bar"><i class="{side}" style="width:{width:.0f}%"></i></span></li>'
    )


def _style() -> str:
    colours = {name: css_colour(name) for name in ("greenColor", "redColor", "grayTextColor", "borderColor")}
    return f"""<style>
.stHtml ul.weights {{ list-style: none; margin: 0; padding: 0; display: grid; gap: 8px }}
.weights li {{ display: grid; grid-template-columns: minmax(0, 1fr) auto; column-gap: 8px }}
.weights .what {{ color: {colours["grayTextColor"]}; overflow-wrap: anywhere }}
.weights .what b {{ font-weight: 600 }}
.weights .bits {{ font-variant-numeric: tabular-nums }}
.weights .bar {{ grid-column: 1 / -1; position: relative; height: 6px; border-left: 0;
  background: linear-gradient({colours["borderColor"]}, {colours["borderColor"]}) 50% 0 / 1px 100% no-repeat }}
.weights .bar i {{ position: absolute; top: 0; height: 6px; border-radius: 3px }}
.weights .for {{ left: 50%; background: {colours["greenColor"]} }}
.weights .against {{ right: 50%; background: {colours["redColor"]} }}
.weights li:last-child {{ border-top: 1px solid {colours["borderColor"]}; padding-top: 8px }}
</style>"""
