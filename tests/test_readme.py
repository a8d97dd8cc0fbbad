"""What the README shows works: its commands parse, its filters are filters, its pictures are there."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from deploy.cli import app
from models import filters
from models.permissions import OPERATOR
from models.settings import Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^ {4}appointment360 (.+?)(?: +#.*)?$", README, re.M)


def test_the_newcomers_lines_come_first() -> None:
    lines = re.findall(r"^ {4}(.+)$", README, re.M)
    assert lines[:2] == ["pip install uv && uv run appointment360 up --sample", "pip install uv && uv run pytest"]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_parses(line: str) -> None:
    words = shlex.split(line)
    command = get_command(app)
    context = command.make_context("appointment360", [*words], resilient_parsing=False)
    while hasattr(command, "resolve_command") and (words or not command.invoke_without_command):
        name, command, words = command.resolve_command(context, words)
        context = command.make_context(name, words, parent=context)


def test_every_filter_is_one() -> None:
    shown = re.findall(r"--where (\S+)", README)
    assert len(shown) >= 3
    assert filters.parse([one for one in shown if "=" in one], by=OPERATOR)


def test_its_pictures_are_there() -> None:
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", README)
    assert pictures
    assert [name for name in pictures if not (ROOT / name).is_file()] == []


def test_nothing_is_left_to_be_filled_in() -> None:
    settings = {name.upper() for name in Settings.model_fields}
    assert set(re.findall(r"\b[A-Z]{4,}_[A-Z]{3,}\b", README)) <= {"DATABASE_URL"} | settings
