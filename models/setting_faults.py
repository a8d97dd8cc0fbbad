"""What is wrong with a setting, and the way out, in sentences of our own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# By pydantic's names of its errors, with what it knows of each.
WAYS_OUT = {
    "int_parsing": "give a whole number", "int_from_float": "give a whole number",
    "float_parsing": "give a number", "finite_number": "give a number", "bool_parsing": "give true or false",
    "greater_than": "give more than {gt}", "greater_than_equal": "give at least {ge}",
    "less_than": "give less than {lt}", "less_than_equal": "give at most {le}", "literal_error": "give {expected}",
    "byte_size": "give a size, such as 400MB or 10GB", "byte_size_unit": "give a size, such as 400MB or 10GB",
    "timezone_aware": "give its time zone, too, as in 2026-11-01T10:00:00Z",
    "datetime_parsing": "give a moment, such as 2026-11-01T10:00:00Z",
    "datetime_from_date_parsing": "give a moment, such as 2026-11-01T10:00:00Z",
}  # fmt: skip
OTHERWISE = "deploy/env.example shows what it takes"


@dataclass(frozen=True)
class Fault:
    variable: str
    wrong: str
    way_out: str

    @property
    def sentence(self) -> str:
        return f"{self.variable} {self.wrong}: {self.way_out}."

    @property
    def told(self) -> dict[str, str]:
        """For programs."""
        return {"setting": self.variable, "wrong": self.wrong, "way_out": self.way_out}


def way_out(error: Mapping[str, Any]) -> str:
    """What to do about one of pydantic's errors; a validator of ours says it itself."""
    known = error.get("ctx") or {}
    if error["type"] == "value_error":
        return str(known["error"]).rstrip(".")
    plain = {name: str(value).replace("'", "") for name, value in known.items()}
    return WAYS_OUT.get(error["type"], OTHERWISE).format_map(plain)
