"""The API for programs, mounted at /api/v1. Its routes follow; for now it answers that it is there."""

from fastapi import FastAPI

# FastAPI's own documentation page loads its script from a CDN.
api = FastAPI(title="Appointment360", version="1", docs_url=None, redoc_url=None)


@api.get("/health")
def health() -> dict[str, str]:
    """`{"status": "ok"}` while the process answers."""
    return {"status": "ok"}
