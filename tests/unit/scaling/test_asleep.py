"""A queue without work and pods."""

from __future__ import annotations

import pytest

from streamqueue.api.spec import Scaling
from streamqueue.scaling import Reason, decide

from .build import look


@pytest.mark.parametrize("spec", [Scaling(target_wait=30.0), Scaling(target_backlog=5)], ids=["wait", "backlog"])
def test_a_new_process_says_of_it_what_the_one_before_said(spec: Scaling) -> None:
    """Else a restart of the operator would write the status of every idle queue twice."""
    first, memory = decide(spec, None, look(100.0))
    second, _ = decide(spec, memory, look(105.0))
    assert first == second


def test_of_a_queue_that_is_pinned_at_zero_the_pin_is_told_not_the_silence() -> None:
    first, memory = decide(Scaling(replicas=0), None, look(100.0))
    second, _ = decide(Scaling(replicas=0), memory, look(105.0))
    assert first == second
    assert (first.replicas, first.reason, first.sentence) == (0, Reason.PINNED, "0: pinned at 0")
