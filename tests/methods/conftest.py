"""A method and its network that are added for a module, as a new one would be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import toy
from superlens import methods, networks


@pytest.fixture(scope="module")
def added() -> Iterator[toy.Toy]:
    """The toy, known to every door."""
    one = toy.Toy()
    networks.register(toy.NETWORK)
    methods.register(one)
    yield one
    methods.unregister(one.name)
