"""What the tests of the checker share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from penchant.whiteboard.sandbox import Sandbox


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[dict[str, Sandbox]]:
    found: dict[str, Sandbox] = {}
    yield found
    for sandbox in found.values():
        sandbox.close()
