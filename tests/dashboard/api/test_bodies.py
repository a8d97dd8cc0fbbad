"""No request fills the memory: what is too long is refused while it comes."""

import json
from collections.abc import Iterator

from dashboard.api import bodies
from models.permissions import Role
from tests.dashboard.api.conftest import Client


def test_a_body_that_is_too_long_is_refused(client: Client) -> None:
    manager = client(Role.MANAGER)
    whole = json.dumps({"notes": "x" * bodies.MOST}).encode()
    sent = 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        for start in range(0, len(whole), 1_000_000):
            sent += 1
            yield whole[start : start + 1_000_000]

    for content in (whole, pieces()):  # with its length before it, and without
        answer = manager.post("/contacts", content=content, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
        assert answer.json()["detail"] == bodies.TOO_LARGE
    keyed = manager.post("/contacts", content=whole, headers={"idempotency-key": "long"})
    assert keyed.status_code == 413
    assert manager.post("/contacts", json={"last_name": "Lee"}, headers={"idempotency-key": "long"}).status_code == 201
