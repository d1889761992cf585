"""Which Docker engine is used, and how one is started where none answers."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster.dockerd import configuration, has_capability, program_of
from tests.cluster.engine import Engine, Machine, choose, is_debian

BARE = Machine(answers=False, root=True, dockerd=False, systemd=False, apt=True)


@pytest.mark.parametrize(
    ("machine", "engine"),
    [
        (replace(BARE, answers=True), Engine.ANSWERS),
        (replace(BARE, answers=True, root=False, apt=False), Engine.ANSWERS),
        (BARE, Engine.INSTALL),
        (replace(BARE, apt=False), Engine.IMPOSSIBLE),
        (replace(BARE, root=False), Engine.IMPOSSIBLE),
        (replace(BARE, root=False, dockerd=True), Engine.IMPOSSIBLE),
        (replace(BARE, dockerd=True), Engine.START_DAEMON),
        (replace(BARE, dockerd=True, systemd=True), Engine.START_SERVICE),
        (replace(BARE, dockerd=True, apt=False), Engine.START_DAEMON),
    ],
)
def test_an_engine_that_answers_is_used_and_only_root_starts_one(machine: Machine, engine: Engine) -> None:
    assert choose(machine) is engine


@pytest.mark.parametrize(
    ("os_release", "debian"),
    [
        ("ID=debian\nVERSION_ID=12", True),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"', True),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"', False),
        ("NAME=none", False),
    ],
)
def test_packages_are_installed_on_debian_and_its_kin_alone(os_release: str, debian: bool) -> None:
    assert is_debian(os_release) is debian


def test_the_machines_own_configuration_is_kept() -> None:
    own = {"data-root": "/srv/docker", "runtimes": {"other": {"path": "/usr/bin/other"}}}
    assert configuration(own, None) == own
    capped = configuration(own, Path("/cache/runc-capped"))
    assert capped["data-root"] == "/srv/docker"
    assert capped["runtimes"] == {"other": {"path": "/usr/bin/other"}, "capped": {"path": "/cache/runc-capped"}}
    assert capped["default-runtime"] == "capped"


@pytest.mark.parametrize(("mask", "held"), [("000001ffffffffff", True), ("000001fffeffffff", False)])
def test_a_missing_capability_is_seen_in_the_bounding_set(mask: str, held: bool) -> None:
    assert has_capability(f"CapEff:\t0000000000000000\nCapBnd:\t{mask}\n", 24) is held


def test_a_process_that_is_gone_has_no_program() -> None:
    assert program_of(2**22 + 1) == ""
