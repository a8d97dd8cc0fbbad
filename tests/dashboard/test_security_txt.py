"""Whom to tell of a weakness, over real HTTP."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from dashboard import security_txt
from models.settings import Settings
from tests.dashboard.conftest import Site, served

PATH = "/.well-known/security.txt"


def test_where_nobody_is_named_there_is_none(web: str) -> None:
    assert httpx.get(f"{web}{PATH}").status_code == 404


def test_it_names_them_and_ends_within_a_year(site: Site, tmp_path: Path) -> None:
    chosen = {
        "APPOINTMENT360_SECURITY_CONTACT": "security@example.com",
        "APPOINTMENT360_PUBLIC_URL": "http://contacts.example.com/",
    }
    with served(site.url, tmp_path, **chosen) as address:
        answer = httpx.get(f"{address}{PATH}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    contact, expires, *others = answer.text.splitlines()
    assert contact == "Contact: mailto:security@example.com"
    assert others == ["Preferred-Languages: en", f"Canonical: http://contacts.example.com{PATH}"]
    name, _, ends = expires.partition(": ")
    assert name == "Expires"
    left = datetime.fromisoformat(ends) - datetime.now(UTC)
    assert timedelta(days=30) < left < timedelta(days=365)


def test_a_page_is_a_contact_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPOINTMENT360_SECURITY_CONTACT", "https://example.com/report")
    chosen = Settings()
    assert chosen.security_contact
    assert security_txt.text(chosen.security_contact, chosen).startswith("Contact: https://example.com/report\n")


@pytest.mark.parametrize("contact", ["nobody", "http://example.com", "a@b\nContact: x@y", "https://a b", "a@b, c@d"])
def test_what_is_no_contact_is_refused(monkeypatch: pytest.MonkeyPatch, contact: str) -> None:
    monkeypatch.setenv("APPOINTMENT360_SECURITY_CONTACT", contact)
    with pytest.raises(ValidationError, match="give an address such as security@example"):
        Settings()
