"""The page that a browser loads before Streamlit draws anything: Streamlit's own, with our head.

As it comes it calls itself Streamlit, fetches a font that we do not use, and is blank until a megabyte of scripts has
run; styles that come later than the form would make the form jump.
"""

import re
from functools import cache
from pathlib import Path

import streamlit
import streamlit as st
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from models.settings import settings

STATIC = Path(__file__).parent / "static"
STYLES = ("touches.css", "sign_in.css", "front_page.css")
HEAD = """<title>Appointment360</title>
    <meta name="description" content="Business contacts: browse, filter, chart, import and export." />
    <link rel="icon" href="./app/static/mark.svg" />
    <link rel="preload" href="./app/static/inter-latin.woff2" as="font" type="font/woff2" crossorigin />"""
ICON = re.compile(r'<link rel="shortcut icon"[^>]*>')
LEFT_OUT = (
    r"<title>.*?</title>",
    r'<link\s+rel="preload"[^>]*as="font"[^>]*>',
    r"<!--(?:(?!-->).)*agent API.*?-->",
    r'<link rel="service-desc"[^>]*>',  # the interface that it describes is closed
)
NO_SCRIPT = "<noscript><p>Appointment360 needs JavaScript: allow it for this address, and reload.</p></noscript>"


async def front_page(_: Request) -> Response:
    return HTMLResponse(page(), headers={"cache-control": "no-cache"})


@cache
def page() -> str:
    html = (Path(streamlit.__file__).parent / "static" / "index.html").read_text()
    for piece in LEFT_OUT:
        html = re.sub(piece, "", html, count=1, flags=re.DOTALL)
    html = ICON.sub(HEAD, html, count=1)
    if files := settings().static_url:  # what these load themselves they look for beside themselves
        html = html.replace('"./static/', f'"{files}/static/')
    html = re.sub(r"<noscript>.*?</noscript>", NO_SCRIPT, html, flags=re.DOTALL)
    # In the body: among equals the later style counts, and Streamlit adds its own to the head as it goes.
    html = html.replace("<body>", f"<body>\n    <style>\n{styled(*STYLES)}</style>", 1)
    # Streamlit replaces what stands in the root when it draws for the first time.
    first = f'<div id="root"><div class="first-paint">{(STATIC / "mark.svg").read_text()}</div></div>'
    return html.replace('<div id="root"></div>', first)


def styled(*names: str) -> str:
    """The theme has no variables outside Streamlit's own parts: $light.primaryColor stands for that option."""
    text = "\n".join((STATIC / name).read_text() for name in names)
    return re.sub(r"\$((?:light|dark)\.\w+)", lambda found: str(st.get_option(f"theme.{found[1]}")), text)
