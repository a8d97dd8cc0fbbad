"""Signatures by which Razorpay proves what it says: HMAC-SHA256 in hexadecimal digits, compared in constant time.

https://razorpay.com/docs/webhooks/validate-test/ and
https://razorpay.com/docs/payments/payment-gateway/web-integration/standard/integration-steps/
"""

import hashlib
import hmac

from pydantic import SecretStr


def made(secret: SecretStr, message: bytes) -> str:
    return hmac.new(secret.get_secret_value().encode(), message, hashlib.sha256).hexdigest()


def fits(secret: SecretStr, message: bytes, signature: str) -> bool:
    """Of a webhook the message is its body, byte for byte as it came."""
    return hmac.compare_digest(made(secret, message).encode(), signature.encode("utf-8", "surrogatepass"))


def of_order(order: str, payment: str) -> bytes:
    """What the checkout signs for an order; `order` is what we know of it, not what came with the request."""
    return f"{order}|{payment}".encode("utf-8", "surrogatepass")


def of_subscription(subscription: str, payment: str) -> bytes:
    """For a subscription it is the other way round."""
    return f"{payment}|{subscription}".encode("utf-8", "surrogatepass")
