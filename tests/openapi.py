"""The API's schema in short, one line for each thing that a program may rely on: tests/samples/openapi.txt.

`python -m tests.openapi` writes it anew; what it then differs by is what programs will notice.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dashboard.api import api
from dashboard.api.schema import HEADERS

SAMPLE = Path(__file__).parent / "samples" / "openapi.txt"
BOUNDS = (("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems"))
SHORT = 40  # characters of a pattern


def digest(schema: dict[str, Any]) -> str:
    return "\n".join([*_operations(schema), "", *_schemas(schema)]) + "\n"


def _operations(schema: dict[str, Any]) -> Iterator[str]:
    known = schema["components"]["parameters"]
    for path, methods in sorted(schema["paths"].items()):
        for method, one in sorted(methods.items()):
            scopes = [scope for way in one.get("security", []) for names in way.values() for scope in names]
            yield f"{method.upper()} {path} {one['operationId']} [{', '.join(scopes)}]"
            parameters = [known[named["$ref"].rpartition("/")[2]] if "$ref" in named else named
                          for named in one.get("parameters", [])]  # fmt: skip
            for parameter in parameters:
                yield f"    {parameter['in']} {_named(parameter['name'], parameter)}"
            if "requestBody" in one:
                yield f"    body {_bodies(one['requestBody'])}"
            good = {status: answer for status, answer in one["responses"].items() if int(status) < 400}
            for status, answer in good.items():
                headers = sorted(answer.get("headers", {}).keys() - HEADERS)
                yield f"    {status} {_bodies(answer)} {' '.join(headers)}".rstrip()
            yield f"    {' '.join(status for status in one['responses'] if status not in good)}".rstrip()


def _schemas(schema: dict[str, Any]) -> Iterator[str]:
    for name, one in sorted(schema["components"]["schemas"].items()):
        closed = " (nothing else)" if one.get("additionalProperties") is False else ""
        yield f"{name}{closed}" if "properties" in one else f"{name}: {_kind(one)}"
        required = one.get("required", ())
        for part, described in one.get("properties", {}).items():
            yield f"    {_named(part, {'schema': described, 'required': part in required})}"


def _named(name: str, one: dict[str, Any]) -> str:
    return f"{name}{'' if one.get('required') else '?'}: {_kind(one['schema'])}"


def _bodies(one: dict[str, Any]) -> str:
    return ", ".join(f"{kind} {_kind(told.get('schema', {}))}" for kind, told in one.get("content", {}).items()) or "-"


def _kind(one: dict[str, Any]) -> str:
    if "$ref" in one:
        return str(one["$ref"]).rpartition("/")[2]
    if "const" in one:
        return repr(one["const"])
    if "enum" in one:
        return " | ".join(map(repr, one["enum"]))
    for several in ("anyOf", "oneOf", "allOf"):
        if several in one:
            return " | ".join(map(_kind, one[several]))
    kind = one.get("type", "anything")
    if kind == "array":
        kind = f"[{_kind(one.get('items', {}))}]"
    if isinstance(one.get("additionalProperties"), dict):
        kind = f"{{{_kind(one['additionalProperties'])}}}"
    parts = [kind, one.get("format", ""), *(_bound(one, *names) for names in BOUNDS)]
    if pattern := one.get("pattern"):
        parts.append(f"/{pattern if len(pattern) <= SHORT else pattern[:SHORT] + '…'}/")
    if "default" in one:
        parts.append(f"= {one['default']!r}")
    return " ".join(part for part in parts if part)


def _bound(one: dict[str, Any], low: str, high: str) -> str:
    if low not in one and high not in one:
        return ""
    return f"{one.get(low, '')}..{one.get(high, '')}"


def main() -> None:
    SAMPLE.write_text(digest(api.openapi()))


if __name__ == "__main__":
    main()
