"""Pod templates move with the spec or the Secret, never with the operator."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from streamqueue.manifests import TEMPLATE_VERSION, live_secret_hash, settle_template
from tests.unit.manifests.build import deployment

VERSION = "streamqueue.dev/template-version"
GENERATION = "streamqueue.dev/generation"


def _live(
    *, secret: str | None = "aaa", replicas: int = 3, version: str = "0", generation: str = "4"
) -> dict[str, Any]:
    """The Deployment as an older operator made it."""
    body = copy.deepcopy(deployment(secret_hash=secret))
    body["metadata"]["annotations"] |= {VERSION: version, GENERATION: generation}
    body["spec"]["replicas"] = replicas
    body["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 7
    return body


def _grace(body: dict[str, Any]) -> int:
    grace: int = body["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    return grace


def test_an_upgraded_operator_restarts_no_pods() -> None:
    live = _live()
    settled = settle_template(deployment(secret_hash="aaa"), live, refused=False)

    assert settled["spec"]["template"] == live["spec"]["template"]
    assert settled["metadata"]["annotations"] == {VERSION: "0", GENERATION: "4"}
    assert settled["spec"]["replicas"] == 3


@pytest.mark.parametrize(
    "live", [_live(generation="3"), _live(replicas=0), _live(version=TEMPLATE_VERSION)], ids=["spec", "zero", "same"]
)
def test_the_template_moves_with_the_spec_at_zero_and_back_to_its_own_version(live: dict[str, Any]) -> None:
    assert settle_template(deployment(secret_hash="aaa"), live, refused=False) == deployment(secret_hash="aaa")


def test_pods_that_are_on_their_way_out_still_count() -> None:
    live = _live(replicas=0) | {"status": {"replicas": 1}}

    assert _grace(settle_template(deployment(secret_hash="aaa"), live, refused=False)) == 7


def test_a_refused_template_leaves_the_last_good_one() -> None:
    live = _live(generation="3")
    settled = settle_template(deployment(secret_hash="aaa"), live, refused=True)

    assert settled["spec"]["template"] == live["spec"]["template"]
    assert settled["metadata"]["annotations"][GENERATION] == "3"


def test_a_changed_secret_rolls_even_a_kept_template() -> None:
    settled = settle_template(deployment(secret_hash="bbb"), _live(), refused=False)

    assert _grace(settled) == 7
    assert live_secret_hash(settled) == "bbb"


def test_the_running_pods_say_which_secret_they_know() -> None:
    assert live_secret_hash(_live()) == "aaa"
    assert live_secret_hash(_live(secret=None)) is None
