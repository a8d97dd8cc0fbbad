"""Tickets, sessions' tokens, links: random, handed out once, and stored only as their SHA-256."""

import hashlib
import secrets


def fresh() -> str:
    return secrets.token_urlsafe(32)


def hashed(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
