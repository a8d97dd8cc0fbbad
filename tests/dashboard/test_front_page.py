import re

import httpx
import pytest

from dashboard import places


@pytest.mark.parametrize("name", list(places.PLACES))
def test_every_place_begins_with_our_page(web: str, name: str) -> None:
    answer = httpx.get(f"{web}{places.path(name)}", params={"country": "Germany"})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-cache"
    assert "<title>Appointment360</title>" in answer.text
    assert 'class="first-paint"' in answer.text


def test_the_page_is_streamlits_without_what_we_do_not_use(web: str) -> None:
    html = httpx.get(web).text
    assert re.search(r'<script type="module" crossorigin src="./static/js/index\.[^"]+\.js">', html)
    assert html.count("<title>") == html.count('rel="icon"') == html.count("</head>") == html.count("<noscript>") == 1
    for left_out in ("SourceSans", "service-desc", "agent", "favicon.png"):
        assert left_out not in html


def test_the_styles_have_the_themes_colours(web: str) -> None:
    html = httpx.get(web).text
    assert "background: light-dark(#3B55D9, #5468E0)" in html
    assert "html { background: #FFFFFF }" in html
    assert not re.search(r"\$(light|dark)", html)
