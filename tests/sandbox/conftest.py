"""Sandboxes and clients for these tests."""

from collections.abc import Iterator

import pytest

from sandbox.client import Client
from sandbox.testing import Sandbox


@pytest.fixture
def hesi() -> Iterator[Sandbox]:
    """A sandbox of this test alone."""
    with Sandbox(claims=300, seed=1) as sandbox:
        yield sandbox


@pytest.fixture
def client(hesi: Sandbox) -> Iterator[Client]:
    """A client of this test's sandbox."""
    client = Client(hesi)
    yield client
    client.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Client]:
    """A client of a sandbox shared by tests that only read."""
    with Sandbox(claims=1000, seed=2) as sandbox:
        client = Client(sandbox)
        yield client
        client.close()
