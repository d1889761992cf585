"""Where the node image comes from: here, a registry, or the sources."""

import os
from pathlib import Path

import pytest

from tests.cluster import docker, node_image
from tests.cluster.node_image import Source, choose
from tests.cluster.settings import KUBERNETES


@pytest.mark.parametrize(
    ("published_here", "built_here", "pulled", "source"),
    [
        (True, False, None, Source.PUBLISHED),
        (True, True, None, Source.PUBLISHED),
        (False, True, None, Source.BUILT),
        (False, False, None, Source.TRY_PULL),
        (False, False, True, Source.PUBLISHED),
        (False, False, False, Source.BUILD),
    ],
)
def test_what_is_here_is_used_and_a_pull_beats_a_build(
    published_here: bool, built_here: bool, pulled: bool | None, source: Source
) -> None:
    assert choose(published_here=published_here, built_here=built_here, pulled=pulled) is source


def docker_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a program `docker` first on the PATH that behaves as `docker pull` would."""
    program = tmp_path / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.timeout(10)
def test_a_registry_that_is_silent_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker_that(tmp_path, monkeypatch, "exec sleep 60")
    assert docker.pull("kindest/node:v0", begins=0.3) is False


def test_a_pull_that_has_begun_may_take_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker_that(tmp_path, monkeypatch, "echo 'v0: Pulling from kindest/node'; sleep 1; echo 'Status: Downloaded'")
    assert docker.pull("kindest/node:v0", begins=0.5) is True


def test_a_refused_pull_is_no_pull(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker_that(tmp_path, monkeypatch, "echo 'manifest unknown' >&2; exit 1")
    assert docker.pull("kindest/node:v0") is False


def test_a_pull_that_breaks_off_is_no_pull(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker_that(tmp_path, monkeypatch, "echo 'v0: Pulling from kindest/node'; exit 1")
    assert docker.pull("kindest/node:v0") is False


def test_the_images_carry_the_tags_that_kubeadm_asks_for() -> None:
    tags = set(node_image.component_dockerfiles())
    assert {"registry.k8s.io/etcd:3.6.5-0", "registry.k8s.io/coredns/coredns:v1.12.1"} < tags
    assert {f"registry.k8s.io/kube-{name}:{KUBERNETES}" for name in ("apiserver", "proxy")} < tags


def test_the_key_follows_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = node_image.key()
    assert node_image.key() == before
    monkeypatch.setattr(node_image, "KIND_MODULE", "sigs.k8s.io/kind@v9.9.9")
    assert node_image.key() != before
