"""Signatures against those that Razorpay's own client was tested with."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from models.payments import signatures


@pytest.mark.shared_data
@pytest.mark.parametrize("kind", ["webhook", "order payment", "subscription payment"])
def test_the_vectors_of_razorpays_own_client(shared_data: Path, kind: str) -> None:
    folder = shared_data / "razorpay" / "vectors"
    [vector] = [one for one in json.loads((folder / "signatures.json").read_text())["vectors"] if one["kind"] == kind]
    message, secret = message_of(vector, folder), SecretStr(vector["secret"])
    assert signatures.made(secret, message) == vector["signature"]
    assert signatures.fits(secret, message, vector["signature"])
    assert not signatures.fits(secret, message + b" ", vector["signature"])


def message_of(vector: dict[str, Any], folder: Path) -> bytes:
    match vector["kind"]:
        case "webhook":
            return (folder / vector["body_file"]).read_bytes()
        case "order payment":
            return signatures.of_order(vector["order_id"], vector["payment_id"])
    return signatures.of_subscription(vector["subscription_id"], vector["payment_id"])


def test_a_known_one_and_what_is_none() -> None:
    """That of RFC 4231, test case 2."""
    secret, message = SecretStr("Jefe"), b"what do ya want for nothing?"
    known = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert signatures.fits(secret, message, known)
    for wrong in ("", known[:-1], known.upper(), "é", "\udc80", known + "0"):
        assert not signatures.fits(secret, message, wrong)
