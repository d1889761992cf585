"""Teams that share a cluster: a queue reads no Secret of another namespace, and its pods run restricted."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.queue import Queue
from tests.e2e.world import World
from tests.kube.kubectl import Kubectl
from tests.kube.view import View


@pytest.mark.concurrent
@pytest.mark.parametrize("name", ["../../{}/secrets/redis", "{}/redis"])
def test_a_secret_is_named_without_a_way_to_another_namespace(world: World, name: str) -> None:
    with namespace(world) as elsewhere:
        elsewhere("create", "secret", "generic", "redis", f"--from-literal=url={world.server.url}")
        said = refused(world, {"name": name.format(elsewhere.namespace), "key": "url"})
    assert "redis.secretRef.name must be the name of a Secret in the queue's namespace" in said


@pytest.mark.concurrent
def test_a_secret_ref_has_no_namespace(world: World) -> None:
    said = refused(world, {"name": "redis", "key": "url", "namespace": "kube-system"})
    assert 'unknown field "spec.redis.secretRef.namespace"' in said


def refused(world: World, reference: dict[str, Any]) -> str:
    """What the API server answers to a queue with this secretRef."""
    queue = world.queue("thief", redis={"secretRef": reference})
    done = world.kubectl("apply", "--filename=-", input=json.dumps(queue.body), check=False)
    assert done.returncode != 0
    return done.stderr


@pytest.mark.concurrent
def test_workers_and_reclaim_run_where_only_restricted_pods_with_limits_may(world: World) -> None:
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
    limits = {"requests.cpu": "4", "requests.memory": "4Gi", "limits.cpu": "8", "limits.memory": "8Gi"}
    with namespace(world, **enforced) as strict:
        strict("create", "quota", "all", "--hard=" + ",".join(f"{kind}={most}" for kind, most in limits.items()))
        view = View(strict.kubeconfig, strict.namespace)
        url = f"redis://redis.{world.kubectl.namespace}:6379/0"
        queue = Queue(strict, view, world.server, world.redis, "restricted", redis={"url": url})
        handler = queue.spec["template"]["spec"]["containers"][0]
        handler["resources"] = {"requests": {"cpu": "10m"}, "limits": {"cpu": "1", "memory": "256Mi"}}
        queue.apply()
        queue.await_results(queue.add(2), 90)
        queue.reclaim()


@contextmanager
def namespace(world: World, **labels: str) -> Iterator[Kubectl]:
    """kubectl in a namespace of the test's own."""
    name = f"{world.kubectl.namespace}-{secrets.token_hex(2)}"
    world.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    try:
        yield world.kubectl.into(name)
    finally:
        world.kubectl("delete", "namespace", name, "--wait=false")
