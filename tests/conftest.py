"""Settings for all tests."""

import pytest

import tinyvision as tv


@pytest.fixture(autouse=True)
def seeded():
    """The same random numbers for a test, whatever ran before it."""
    tv.manual_seed(0)
