"""Asking Razorpay, by its own client. Where it answers “too many requests” the question waits and is asked again."""

import logging
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from models.errors import Conflict, Unavailable
from models.settings import Settings, settings

PATIENCE = 10  # seconds for each answer
TRIES, BACKOFF = 5, 0.2  # seconds, doubled each time
LONGEST_WAIT = 8  # seconds, also where Razorpay asks for longer: a person waits
PAGE = 100  # the most that Razorpay gives at a time
CHECKOUT = "https://checkout.razorpay.com"
CHECKOUT_HOSTS = "https://*.razorpay.com"  # checkout, api, cdn, lumberjack: which of them changes without notice
NEEDED = ("razorpay_key_id", "razorpay_key_secret", "razorpay_webhook_secret")

log = logging.getLogger(__name__)
_local = threading.local()


class Refused(Conflict):
    """Razorpay answered that it will not do it; `said` is its own sentence."""

    def __init__(self, said: str) -> None:
        self.said = said or "it gave no reason"
        super().__init__(f"Razorpay refused it: {self.said}")


def missing() -> list[str]:
    """The variables that have to be set before payments are possible."""
    return [f"APPOINTMENT360_{name.upper()}" for name in NEEDED if not getattr(settings(), name)]


def ready() -> bool:
    return not missing()


def how() -> str:
    """What to do where `ready` says no, as a sentence."""
    return f"Payments are not set up: set {' and '.join(missing())} to those of your Razorpay account, and restart."


def checkout_script() -> str:
    """The address of the script that opens the checkout in a browser; a stand-in has one of its own."""
    return f"{(settings().razorpay_url or CHECKOUT).rstrip('/')}/v1/checkout.js"


def checkout_hosts() -> str:
    """From where that script loads what it needs, and draws its window, as a browser's policy writes it."""
    return (settings().razorpay_url or CHECKOUT_HOSTS).rstrip("/")


def require_ready() -> Settings:
    """Raises Unavailable, which says what to set."""
    if not ready():
        raise Unavailable(how())
    return settings()


def ask(question: Callable[[Any], Any]) -> Any:
    """The answer to a question like `lambda razorpay: razorpay.order.fetch("order_x", timeout=PATIENCE)`.

    Raises Unavailable (not set up, no answer), Refused.
    """
    require_ready()
    import requests.exceptions
    from razorpay import errors

    try:
        return question(_client())
    except errors.BadRequestError as error:
        raise Refused(str(error)) from error
    except (errors.GatewayError, errors.ServerError, requests.exceptions.RequestException) as error:
        log.warning("Razorpay does not answer: %s", type(error).__name__, exc_info=error)
        raise Unavailable("Razorpay does not answer just now. Try again in a minute.") from error


def every(resource: str, **wanted: Any) -> Iterator[dict[str, Any]]:
    """Everything of a kind (“payment”, “refund”, “invoice”) that fits, page by page. Raises as `ask` does."""
    skip = 0
    while True:
        page = ask(partial(_listed, resource, {**wanted, "count": PAGE, "skip": skip}))["items"]
        yield from page
        if len(page) < PAGE:
            return
        skip += PAGE


def _listed(resource: str, wanted: dict[str, Any], razorpay: Any) -> Any:
    return getattr(razorpay, resource).all(wanted, timeout=PATIENCE)


def _client() -> Any:
    """One for each thread: its session is not for several at a time."""
    known = settings()
    assert known.razorpay_key_secret is not None
    wanted = (known.razorpay_key_id, known.razorpay_key_secret.get_secret_value(), known.razorpay_url)
    if getattr(_local, "wanted", None) != wanted:
        _local.client, _local.wanted = _made(*wanted), wanted
    return _local.client


def _made(key_id: str | None, secret: str, url: str | None) -> Any:
    import razorpay
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    # Only what was certainly not carried out is asked again by itself: an order must not be made twice.
    retry = Retry(
        total=TRIES, connect=2, read=0, status=TRIES, allowed_methods=None, status_forcelist=(429,),
        backoff_factor=BACKOFF, backoff_max=LONGEST_WAIT, backoff_jitter=0.1, retry_after_max=LONGEST_WAIT,
    )  # fmt: skip
    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    base = {"base_url": url.rstrip("/")} if url else {}
    client = razorpay.Client(session=session, auth=(key_id, secret), **base)
    client.set_app_details({"title": "Appointment360"})
    return client
