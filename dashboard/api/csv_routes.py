"""CSV files as answers: what their routes share."""

from pathlib import Path

from starlette.responses import StreamingResponse

from models import imports
from models.permissions import Actor


class CSV(StreamingResponse):
    """A route's `response_class`, for its description alone: file_answers.csv makes the answer."""

    media_type = "text/csv; charset=utf-8"


def named(import_id: int, name: str, by: Actor) -> str:
    """What a file of an import's rows is called: “leads rejects.csv”."""
    return f"{Path(imports.get(import_id, by=by).file_name).stem} {name}"
