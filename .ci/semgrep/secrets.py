"""What the rules of secrets.yml find, and what they leave alone."""

import hashlib
import hmac
import logging
import random
import secrets

log = logging.getLogger(__name__)


def bad(settings, given, password, user):
    # ruleid: a-secret-in-a-log
    log.info("the database is %s", settings.database_url.get_secret_value())
    # ruleid: a-secret-in-a-log
    log.warning(f"the database is {settings.database_url.get_secret_value()}")
    # ruleid: a-secret-in-a-log
    log.debug("signing in with %s", password)
    # ruleid: a-secret-in-a-log
    log.debug("signing in with %s", user.token)
    # ruleid: a-secret-printed
    print(settings.database_url.get_secret_value())
    # ruleid: a-secret-compared-with-equals
    if settings.metrics_token.get_secret_value() == given:
        # ruleid: a-secret-in-an-error
        raise ValueError(f"not {settings.metrics_token.get_secret_value()}")
    # ruleid: a-secret-compared-with-equals
    if hashlib.sha256(given).hexdigest() == user:
        # ruleid: a-guessable-secret
        return random.getrandbits(128)
    return None


def good(settings, given, user_id):
    # ok: a-secret-in-a-log
    log.info("the database is %s", settings.database_url)
    # ok: a-secret-in-a-log
    log.warning("user %s gave a wrong password", user_id)
    # ok: a-secret-printed
    print(settings.database_url)
    # ok: a-secret-compared-with-equals
    hmac.compare_digest(settings.metrics_token.get_secret_value(), given)
    # ok: a-guessable-secret
    return secrets.token_urlsafe(32)
