"""Pod templates move with the spec or the Secret, never with the operator."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from streamqueue.manifests import TEMPLATE_VERSION, Fingerprints, live_fingerprints, settle_template
from tests.unit.manifests.build import SECRET, SECRETS, deployment, spec

VERSION = "streamqueue.dev/template-version"
GENERATION = "streamqueue.dev/generation"
SECRET_HASH, PLACE_HASH = "streamqueue.dev/secret-hash", "streamqueue.dev/place-hash"

ROTATED = replace(SECRETS, whole="another")
MOVED = Fingerprints("another", "elsewhere")


def _live(
    *, secrets: Fingerprints | None = SECRETS, replicas: int = 3, version: str = "0", generation: str = "4"
) -> dict[str, Any]:
    """The Deployment as an older operator made it."""
    body = copy.deepcopy(deployment(secrets=secrets))
    body["metadata"]["annotations"] |= {VERSION: version, GENERATION: generation}
    body["spec"]["replicas"] = replicas
    body["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 7
    return body


def _settled(
    live: dict[str, Any], *, secrets: Fingerprints = SECRETS, refused: bool = False, protocol: str = "redis"
) -> dict[str, Any]:
    parsed = spec(**{"handler.protocol": protocol, "redis": SECRET})
    return settle_template(deployment(parsed, secrets), live, refused=refused, secrets=secrets)


def _grace(body: dict[str, Any]) -> int:
    grace: int = body["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    return grace


def _annotations(body: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = body["spec"]["template"]["metadata"]["annotations"]
    return found


def test_an_upgraded_operator_restarts_no_pods() -> None:
    live = _live()
    settled = _settled(live)

    assert settled["spec"]["template"] == live["spec"]["template"]
    assert settled["metadata"]["annotations"] == {VERSION: "0", GENERATION: "4"}
    assert settled["spec"]["replicas"] == 3


@pytest.mark.parametrize(
    "live", [_live(generation="3"), _live(replicas=0), _live(version=TEMPLATE_VERSION)], ids=["spec", "zero", "same"]
)
def test_the_template_moves_with_the_spec_at_zero_and_back_to_its_own_version(live: dict[str, Any]) -> None:
    desired = deployment(secrets=SECRETS)
    assert settle_template(desired, live, refused=False, secrets=SECRETS) == desired


def test_what_somebody_wrote_into_a_kept_template_is_not_kept() -> None:
    """It rolled the pods already; and would stay until the spec changes."""
    desired, live = deployment(secrets=SECRETS), _live()
    assert settle_template(desired, live, refused=False, secrets=SECRETS, edited=True) == desired
    assert _grace(settle_template(desired, live, refused=True, secrets=SECRETS, edited=True)) == 7, "there is no other"


def test_pods_that_are_on_their_way_out_still_count() -> None:
    assert _grace(_settled(_live(replicas=0) | {"status": {"replicas": 1}})) == 7


def test_a_refused_template_leaves_the_last_good_one() -> None:
    live = _live(generation="3")
    settled = _settled(live, refused=True)

    assert settled["spec"]["template"] == live["spec"]["template"]
    assert settled["metadata"]["annotations"][GENERATION] == "3"


def test_a_changed_secret_rolls_even_a_kept_template() -> None:
    settled = _settled(_live(), secrets=ROTATED)

    assert _grace(settled) == 7
    assert _annotations(settled)[SECRET_HASH] == "another"


@pytest.mark.parametrize("protocol", ["sdk", "http"])
@pytest.mark.parametrize("refused", [False, True])
def test_a_fleet_that_was_started_with_the_url_in_a_variable_goes_by_all_of_the_secret(
    protocol: str, refused: bool
) -> None:
    """Version 3: its workers can't read a new password, and stay when only the operator is upgraded."""
    live = _live(version="3")
    upgraded, rotated = (
        _settled(live, secrets=each, refused=refused, protocol=protocol) for each in (SECRETS, ROTATED)
    )

    assert upgraded["spec"]["template"] == live["spec"]["template"], "an upgrade of the operator rolls the fleet"
    assert _annotations(rotated) == _annotations(live) | {SECRET_HASH: "another"}
    moved = _settled(_live(version="3", generation="3"), secrets=SECRETS, protocol=protocol)
    assert _annotations(moved)[PLACE_HASH] == "bbb" and SECRET_HASH not in _annotations(moved)


def test_a_kept_template_of_workers_that_read_a_file_moves_with_the_place_alone() -> None:
    live = _settled(_live(generation="3"), protocol="sdk")
    live["metadata"]["annotations"][VERSION] = "from a later operator"
    rotated, moved = (_settled(live, secrets=each, protocol="sdk") for each in (ROTATED, MOVED))

    assert rotated["spec"]["template"] == live["spec"]["template"]
    assert _annotations(moved) == _annotations(live) | {PLACE_HASH: "elsewhere"}


def test_the_running_pods_say_which_secret_they_know() -> None:
    assert live_fingerprints(_live()) == Fingerprints("aaa", None)
    assert live_fingerprints(_live(secrets=None)) == Fingerprints(None, None)
