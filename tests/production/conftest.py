"""What the tests of deploy/ share."""

from tests.dashboard.conftest import site

__all__ = ["site"]  # pytest finds fixtures by their names here
