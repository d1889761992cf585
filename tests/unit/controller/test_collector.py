"""What lives long is set aside from Python's cyclic collector, but what holds itself is freed in the end."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from streamqueue.controller import collector


class Ring:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def nothing_set_aside() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_is_set_aside_is_looked_at_again_only_when_all_is() -> None:
    ring = Ring()
    gone = weakref.ref(ring)
    collector.set_aside()
    del ring
    collector.set_aside()
    assert gone() is not None
    collector.set_aside(anew=True)
    assert gone() is None


def test_what_came_and_went_since_is_freed() -> None:
    collector.set_aside()
    gone = weakref.ref(Ring())
    collector.set_aside()
    assert gone() is None and gc.get_freeze_count() > 0
