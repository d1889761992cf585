"""The CLI on a real cluster, as a person on a laptop uses it: kubeconfig alone, Redis behind the API server."""

from __future__ import annotations

import datetime
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.cli import Cli
from tests.e2e.queue import FAULTS, IMAGE, worker_command
from tests.e2e.world import World

pytestmark = pytest.mark.concurrent

LATE = {"exec": {"command": ["true"]}, "initialDelaySeconds": 4, "periodSeconds": 1}


def test_a_queue_is_looked_at_and_steered_by_its_name(world: World) -> None:
    cli, password = Cli(world), "pw-5d1c"
    world.redis.acl_setuser("cli", enabled=True, passwords=[f"+{password}"], keys="*", categories=["+@all"])
    world.secret("cli-redis", url=world.server.url.replace("//", f"//cli:{password}@"))
    queue = world.queue(
        "cli", redis={"secretRef": {"name": "cli-redis", "key": "url"}}, scaling={"maxReplicas": 1, "paused": True}
    )
    queue.apply().await_condition("RedisReachable", "True")

    task = cli("send", "cli", "n=1").strip()
    assert cli.json("peek", "cli")[0]["entry"] == task
    assert cli.json("explain", "cli", task)["state"] == "waiting"
    assert "paused" in cli.findings(queue)

    assert "resumed (dry run)" in cli("resume", "cli", "--dry-run")
    assert world.kubectl.get("streamqueue", "cli")["spec"]["scaling"]["paused"] is True
    cli("resume", "cli")
    queue.await_results([task], 60)
    assert cli.json("explain", "cli", task)["state"] == "acknowledged"
    row = cli.json("status", "cli")
    assert (row["ready"], row["stream"]) == ("True", "cli")
    assert {each["type"] for each in row["conditions"]} >= {"Accepted", "Ready", "RedisReachable"}
    assert "RedisReachable=True" in cli("status", "cli")
    assert "cli" in cli("status", "-o", "name").split()
    assert "nothing to return" in cli("reclaim", "cli")
    assert "REPLICAS" in cli("top", "--looks", "1") and "WAITING" in cli("top", "cli", "--looks", "1")
    assert "there is cli" in cli.refused("peek", "clj", code=2)
    assert not any(password in each for each in cli.said)


def test_the_count_is_pinned_and_set_free(world: World) -> None:
    cli = Cli(world)
    queue = world.queue("cli-scale").apply()
    queue.await_condition("Ready", "True")
    cli("scale", "cli-scale", "2")
    world.view.eventually(lambda: queue.replicas == 2, 30, "two workers, as pinned")
    assert "maxReplicas" in cli.refused("scale", "cli-scale", "99", code=2)
    cli("scale", "cli-scale", "auto")
    world.view.eventually(lambda: queue.replicas == 0, 60, "no workers without work")


def test_doctor_names_what_keeps_pods_from_running(world: World) -> None:
    """One queue for each fault; all at once, as each takes the kubelet a while."""
    cli, one = Cli(world), {"minReplicas": 1, "maxReplicas": 1}
    absent = {"image": "localhost:1/streamqueue/absent:dev", "timeout": "5s"}
    greedy = worker_command(FAULTS, resources={"requests": {"cpu": "1000"}})
    crash = {"spec": {"containers": [{"name": "handler", "command": ["python3", "-c", "raise SystemExit(3)"]}]}}
    image = world.queue("cli-image", handler=absent, scaling=one).apply()
    looping = world.queue("cli-crash", template=crash, scaling=one).apply()
    homeless = world.queue("cli-greedy", template=greedy, scaling=one).apply()

    homeless.await_condition("PodsUnschedulable", "True", timeout=120)
    found = cli.findings(homeless)["unschedulable"]
    assert "Insufficient cpu" in found["cause"]
    image.await_condition("PodsFailing", "True", "ImagePull", timeout=120)
    found = cli.findings(image)["image-pull"]
    assert absent["image"] in found["cause"] and image.pods()[0]["metadata"]["name"] in found["next"]
    looping.await_condition("PodsFailing", "True", "CrashLoop", timeout=120)
    found = cli.findings(looping)["crash-loop"]
    assert "last exit code 3" in found["cause"] and "--previous" in found["next"]
    for queue in (image, looping, homeless):
        queue.delete()


def test_doctor_names_what_readers_do_wrong(world: World) -> None:
    cli = Cli(world)
    elsewhere = shell("STREAMQUEUE_STREAM=elsewhere", readinessProbe=LATE)
    strays = world.queue("cli-stray", template=elsewhere, scaling={**workers(1), "targetWait": "1s"}).apply()
    shared = world.queue("cli-shared", template=shell("STREAMQUEUE_CONSUMER=worker-1"), scaling=workers(2)).apply()
    shared.await_ready_pods(2)
    shared.add(2, seconds="60")
    world.view.eventually(shared.pending, 20, "a task in hand")
    found = cli.findings(shared)["shared-consumer"]
    assert "busy pods can't be told from idle ones" in found["cause"]

    strays.add(3)
    (pod,) = strays.await_ready_pods(1)
    ready = next(each for each in pod["status"]["conditions"] if each["type"] == "Ready")
    world.view.eventually(lambda: seconds_since(ready["lastTransitionTime"]) > 17, 30, "a pod that had time to read")
    found = cli.findings(strays)
    assert "nobody reads stream cli-stray" in found["other-stream"]["cause"]
    assert "and targetWait is 1s" in found["slow-start"]["cause"]
    for queue in (strays, shared):
        queue.delete()


def test_doctor_names_what_keeps_work_from_coming_back(world: World) -> None:
    cli = Cli(world)
    world.secret("cli-held", url=world.server.url)
    held = world.queue(
        "cli-held",
        redis={"secretRef": {"name": "cli-held", "key": "url"}},
        handler={"image": IMAGE, "timeout": "1s"},
        delivery={"visibilityTimeout": "2m"},
        reclaim={"suspend": True},
        scaling=workers(1),
    ).apply()
    held.await_ready_pods(1)
    held.add(1, seconds="90")
    world.view.eventually(lambda: "visibility-timeout" in cli.findings(held), 40, "a task that takes too long is named")
    found = cli.findings(held)
    assert "longer than handler.timeout x batch" in found["visibility-timeout"]["cause"]
    assert "spec.reclaim.suspend" in found["reclaim-suspended"]["cause"]

    world.secret("cli-held", url="redis://nowhere.invalid:6379/0")
    world.kubectl("create", "job", "cli-held-fails", "--from=cronjob/cli-held-reclaim")
    world.kubectl("wait", "--for=condition=failed", "job/cli-held-fails", "--timeout=120s")
    world.secret("cli-held", url=world.server.url)
    assert "the last reclaim job failed" in cli.findings(held)["reclaim-failing"]["cause"]
    held.delete()


def test_with_few_rights_it_says_what_it_may_not_read(world: World) -> None:
    world.secret("cli-hidden", url=world.server.url)
    world.queue("cli-rights", redis={"secretRef": {"name": "cli-hidden", "key": "url"}}).apply()
    rules = [{"apiGroups": ["streamqueue.dev"], "resources": ["streamqueues"], "verbs": ["get", "list"]}]
    subject = {"kind": "ServiceAccount", "name": "cli-viewer", "namespace": world.kubectl.namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "cli-viewer"}
    world.kubectl.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "cli-viewer"}},
        _rbac("Role", rules=rules),
        _rbac("RoleBinding", roleRef=reference, subjects=[subject]),
    )
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(_kubeconfig(world, "cli-viewer"), file)
        file.flush()
        cli = Cli(world, file.name)
        assert cli.json("status", "cli-rights")["name"] == "cli-rights"
        assert "you may not read Secret cli-hidden" in cli.refused("peek", "cli-rights", code=1)
        said = cli.call("doctor", "cli-rights").stdout
        assert "not looked at: Pods, which you may not read" in said
        assert "you may not read Secret cli-hidden" in said


def workers(count: int) -> dict[str, int]:
    return {"minReplicas": count, "maxReplicas": count}


def shell(assignment: str, **container: Any) -> Mapping[str, Any]:
    """The faults handler, with one variable changed as a careless author would."""
    command = ["sh", "-c", f"{assignment} exec python3 {FAULTS}"]
    return {"spec": {"containers": [{"name": "handler", "command": command, **container}]}}


def seconds_since(timestamp: str) -> float:
    return time.time() - datetime.datetime.fromisoformat(timestamp).timestamp()


def _rbac(kind: str, **body: Any) -> dict[str, Any]:
    metadata = {"name": "cli-viewer"}
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, **body}


def _kubeconfig(world: World, account: str) -> dict[str, Any]:
    """The test cluster's, with a token of this service account."""
    config = yaml.safe_load(Path(world.kubectl.kubeconfig).read_text())
    config["users"] = [{"name": account, "user": {"token": world.kubectl("create", "token", account).stdout.strip()}}]
    config["contexts"][0]["context"]["user"] = account
    config["current-context"] = config["contexts"][0]["name"]
    return dict(config)


def test_why_there_were_so_many_workers(world: World) -> None:
    """Read from the operator's memory, through the API server."""
    cli = Cli(world)
    queue = world.queue("cli-why", scaling={"maxReplicas": 3}).apply()
    queue.await_condition("Ready", "True")
    began = time.time()
    queue.await_results(queue.add(5), 60)
    world.view.eventually(lambda: queue.replicas == 0, 120, "no workers without work")
    grown, *_ = [row for row in cli.json("explain", "cli-why", "--since", "5m")["entries"] if not row["had"] < 1]
    up = next(row for row in cli.json("explain", "cli-why", "--since", "5m")["entries"] if row["replicas"])
    assert up["had"] == 0 and up["waiting"] > 0 and began - 1 <= up["at"] <= grown["at"] <= time.time()
    lines = cli("explain", "cli-why", "--since", "5m").splitlines()
    assert any("ScalingUp" in line and "0 -> " in line and "waiting" in line for line in lines)
    assert any("-> 0: " in line for line in lines)
    moment = datetime.datetime.fromtimestamp(up["at"] + 0.5).isoformat()
    assert f"{up['replicas']} worker" in cli("explain", "cli-why", "--at", moment)
    assert "5 tasks in" in cli("simulate", "cli-why", "--from-stream", "--only")  # service times as the operator learnt
    assert "what was before went with" in cli.refused("explain", "cli-why", "--at", "2000-01-01T00:00", code=1)
