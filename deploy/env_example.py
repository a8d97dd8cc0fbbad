"""deploy/env.example: every setting in groups, with what it means and its default, as models/setting_groups.py says.

`python -m deploy.env_example` writes it anew.
"""

from collections.abc import Iterator
from inspect import getdoc
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic import ByteSize
from pydantic.fields import FieldInfo

from models.secret_files import is_secret
from models.setting_groups import Group
from models.settings import GROUPS, variable

FILE = Path(__file__).parent / "env.example"
HEAD = """\
# Every setting, with its default, or an example where it has none. Take out the # before what you change.
# For systemd (EnvironmentFile=), compose (env_file:) and the like: nothing is quoted, and nothing means the default.
#
# In place of a secret its file can be given, such as APPOINTMENT360_METRICS_TOKEN_FILE=/run/secrets/metrics_token.
# `appointment360 secrets new` makes those that production needs; `appointment360 settings check` tells what is amiss.
# Written by `python -m deploy.env_example`.
"""


def text() -> str:
    return "\n".join([HEAD, *(line for group in GROUPS for line in (*_group(group), ""))]).rstrip() + "\n"


def _group(group: type[Group]) -> Iterator[str]:
    yield f"# --- {getdoc(group)}"
    for name, field in group.model_fields.items():
        if name not in group.__annotations__:
            continue
        yield f"# {_meaning(field)}"
        yield f"#{variable(name)}={_value(field)}"


def _meaning(field: FieldInfo) -> str:
    notes = ["a secret"] if is_secret(field) else []
    if get_origin(field.annotation) is Literal:
        notes.append(" or ".join(get_args(field.annotation)))
    meaning = str(field.description)
    return f"{meaning[0].upper()}{meaning[1:]}{f' ({notes[0]})' if notes else ''}"


def _value(field: FieldInfo) -> str:
    value = field.default
    if value in (None, ""):
        return str(field.examples[0]) if field.examples else ""
    if isinstance(value, ByteSize):
        return value.human_readable(decimal=True).replace(".0", "")
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    FILE.write_text(text())
