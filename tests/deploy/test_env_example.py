"""deploy/env.example is what the settings are, and what it shows can be set."""

import re

import pytest

from deploy import env_example
from models.secret_files import is_secret
from models.settings import GROUPS, Settings, variable
from models.weak_secrets import is_example

LINE = re.compile(r"^#([A-Z0-9_]+)=(.*)$", re.MULTILINE)
SHOWN = dict(LINE.findall(env_example.FILE.read_text()))


def test_it_is_written_from_the_settings() -> None:
    assert env_example.FILE.read_text() == env_example.text(), "write it anew: python -m deploy.env_example"


def test_it_names_every_setting_once() -> None:
    named = [name for name, _ in LINE.findall(env_example.FILE.read_text())]
    assert sorted(named) == sorted(variable(name) for name in Settings.model_fields)
    assert sum(len(group.__annotations__) for group in GROUPS) >= len(Settings.model_fields)


def test_each_setting_says_what_it_means() -> None:
    meanings = env_example.meanings()
    assert [name for name in Settings.model_fields if not meanings.get(name)] == []


def test_what_it_shows_is_the_default_or_an_example_that_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SHOWN:
        monkeypatch.delenv(name, raising=False)
    default = Settings()
    for name, value in SHOWN.items():
        monkeypatch.setenv(name, value)
    shown = Settings()
    differing = {name for name in Settings.model_fields if getattr(shown, name) != getattr(default, name)}
    assert differing == {
        name for name, field in Settings.model_fields.items() if field.default in (None, "") and field.examples
    }


def test_production_knows_the_examples_of_its_secrets() -> None:
    examples = [SHOWN[variable(name)] for name, field in Settings.model_fields.items() if is_secret(field)]
    assert len(examples) >= 9
    assert [value for value in examples if not is_example(value)] == []


def test_what_is_to_be_written_so_stands_so() -> None:
    text = env_example.FILE.read_text()
    assert "s3://" in text
    assert "S3://" not in text
    assert "POSTGRES_PASSWORD, which it makes, too, is no setting" in text


def test_it_can_be_read_at_a_glance() -> None:
    lines = env_example.FILE.read_text().splitlines()
    assert [line for line in lines if len(line) > 120] == []
    assert [line for line in lines if line and not line.startswith("#")] == []
