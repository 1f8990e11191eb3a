"""Settings for all tests."""

import os

import hypothesis
import pytest

import tinyvision as tv

# The first call of a kernel compiles it, so how long an example takes says nothing.
# With CI=true, hypothesis's own profile also draws the same examples every time.
hypothesis.settings.register_profile(
    "tinyvision",
    hypothesis.settings.get_profile("ci" if "CI" in os.environ else "default"),
    deadline=None,
)
hypothesis.settings.load_profile("tinyvision")


@pytest.fixture(autouse=True)
def seeded():
    """The same random numbers for a test, whatever ran before it."""
    tv.manual_seed(0)
