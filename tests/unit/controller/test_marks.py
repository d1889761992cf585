"""Pods are born protected, lose it when idle for a while, and get it back at once with work."""

from __future__ import annotations

from typing import Any

from streamqueue.api.template import DELETION_COST
from streamqueue.controller.pods.marks import UNPROTECTED_AFTER, changes, note_idle
from streamqueue.controller.pods.states import VICTIM_COST
from tests.unit.controller.bodies import pod

NAME = "orders-6b7f9-abcde"
EVICT, DISRUPT = "cluster-autoscaler.kubernetes.io/safe-to-evict", "karpenter.sh/do-not-disrupt"
BORN = {EVICT: "false", DISRUPT: "true"}


def marked(**annotations: str) -> dict[str, Any]:
    body = pod()
    body["metadata"]["annotations"] = dict(annotations)
    return body


def test_a_pod_as_it_was_born_needs_no_write() -> None:
    assert changes(marked(**BORN), (), {}, 0.0) == {}


def test_an_idle_pod_loses_its_protection_after_a_while_only() -> None:
    assert changes(marked(**BORN), (), {NAME: 0.0}, UNPROTECTED_AFTER - 1) == {}
    assert changes(marked(**BORN), (), {NAME: 0.0}, UNPROTECTED_AFTER) == {EVICT: None, DISRUPT: None}


def test_work_brings_the_protection_back_at_once() -> None:
    idle_since = note_idle({NAME: 0.0}, {NAME: 1}, now=100.0)
    assert changes(marked(), (), idle_since, 100.0) == BORN


def test_a_pod_of_which_nothing_is_known_stays_protected() -> None:
    assert note_idle({NAME: 0.0}, {NAME: None}, now=100.0) == {}


def test_victims_are_marked_and_unmarked_when_the_plan_changes() -> None:
    assert changes(marked(**BORN), (NAME,), {}, 0.0) == {DELETION_COST: VICTIM_COST}
    assert changes(marked(**BORN, **{DELETION_COST: VICTIM_COST}), (), {}, 0.0) == {DELETION_COST: None}


def test_idle_time_counts_from_its_beginning() -> None:
    assert note_idle({NAME: 5.0}, {NAME: 0}, now=9.0) == {NAME: 5.0}
