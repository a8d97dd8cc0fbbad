"""deploy/env.example: every setting in groups, with what it means and its default, as models/setting_groups.py says.

`python -m deploy.env_example` writes it anew.
"""

import ast
from collections.abc import Iterator
from functools import cache
from inspect import getdoc
from itertools import pairwise
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic import ByteSize
from pydantic.fields import FieldInfo

from models import setting_groups
from models.secret_files import is_secret
from models.setting_groups import Group
from models.settings import GROUPS, variable

FILE = Path(__file__).parent / "env.example"
SETTINGS = Path(setting_groups.__file__)
HEAD = """\
# Every setting, with its default, or an example where it has none. Take out the # before what you change.
# For systemd (EnvironmentFile=), compose (env_file:) and the like: nothing is quoted, and nothing means the default.
#
# In place of a secret its file can be given, such as APPOINTMENT360_METRICS_TOKEN_FILE=/run/secrets/metrics_token.
# `appointment360 secrets new` makes those that production needs; `appointment360 settings check` tells what is amiss.
# POSTGRES_PASSWORD, which it makes, too, is no setting: the database's server gives it to the role of DATABASE_URL.
# Written by `python -m deploy.env_example`.
"""


def text() -> str:
    return "\n".join([HEAD, *(line for group in GROUPS for line in (*_group(group), ""))]).rstrip() + "\n"


def _group(group: type[Group]) -> Iterator[str]:
    yield f"# --- {getdoc(group)}"
    for name, field in group.model_fields.items():
        if name not in group.__annotations__:
            continue
        yield f"# {_meaning(name, field)}"
        yield f"#{variable(name)}={_value(field)}"


@cache
def meanings() -> dict[str, str]:
    """What stands below each setting, by its name. Pydantic would read it wherever a process begins, and for that asks
    every module that is loaded for its file: so it would load those that are left for later, too."""
    groups = [node for node in ast.parse(SETTINGS.read_text()).body if isinstance(node, ast.ClassDef)]
    return {
        declared.target.id: str(below.value.value)
        for group in groups
        for declared, below in pairwise(group.body)
        if isinstance(declared, ast.AnnAssign) and isinstance(declared.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
    }


def _meaning(name: str, field: FieldInfo) -> str:
    notes = ["a secret"] if is_secret(field) else []
    if get_origin(field.annotation) is Literal:
        notes.append(" or ".join(get_args(field.annotation)))
    meaning = meanings()[name]
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
