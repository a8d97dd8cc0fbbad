"""The documentation page: Swagger's, from files of this host, without a script in the page itself."""

from http import HTTPStatus
from pathlib import Path

import fastapi_offline
from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse

from dashboard.api.problems import Problems

router = APIRouter(include_in_schema=False)

STATIC = Path(fastapi_offline.__file__).parent / "static"
FILES = {
    "swagger-ui.css": STATIC / "swagger-ui.css",
    "swagger-ui-bundle.js": STATIC / "swagger-ui-bundle.js",
    "start.js": Path(__file__).parent / "docs.js",
}
DAY = {"cache-control": "public, max-age=86400"}
# Addresses are relative: the API does not know where it is mounted. The icon is the empty one.
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Appointment360 API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""


@router.get("/docs")
def page() -> HTMLResponse:
    return HTMLResponse(PAGE)


@router.get("/docs/{name}")
def file(name: str) -> FileResponse:
    if name not in FILES:
        raise Problems(HTTPStatus.NOT_FOUND, "The documentation has no such file.")
    return FileResponse(FILES[name], headers=DAY)
