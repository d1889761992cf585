"""A Redis password that is rotated: plain loops are rolled, workers of ours read it anew in the pods that run."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

from tests.e2e.queue import QUEUE_LABEL, Queue
from tests.e2e.world import World
from tests.kube.redis_server import RedisServer
from tests.kube.view import Body

pytestmark = pytest.mark.concurrent(long=True)

FIRST, SECOND = "first-8f3a", "second-5b20"
IMAGE = "streamqueue/documents:dev"  # one of the examples' that has the SDK
RENEWED = 150  # seconds: at the latest after a minute or two the kubelet has renewed what is mounted
ALWAYS_ONE = {"minReplicas": 1, "maxReplicas": 1}

SDK = """
from streamqueue import Worker
worker = Worker()
@worker.task
def handle(task):
    return {"n": task["n"]}
worker.run()
"""
HTTP = """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"""


def test_a_rotated_password_rolls_plain_loops_and_no_others(world: World) -> None:
    server = RedisServer(world.kubectl, "redis-rotated", password=FIRST)
    server.create()
    client = server.wait()
    world.secret("rotated", url=server.url)
    redis = {"secretRef": {"name": "rotated", "key": "url"}}
    plain = world.queue("rotated-plain", server, client, redis=redis, scaling=ALWAYS_ONE).apply()
    ours = [
        world.queue(
            f"rotated-{protocol}",
            server,
            client,
            redis=redis,
            scaling=ALWAYS_ONE,
            handler={"image": IMAGE, "protocol": protocol, "timeout": "5s"},
            next={"stream": f"rotated-{protocol}-done"},
            template={"spec": {"containers": [{"name": "handler", "command": ["python3", "-c", program]}]}},
        ).apply()
        for protocol, program in (("sdk", SDK), ("http", HTTP))
    ]
    ids = {queue.name: queue.add(3) for queue in (plain, *ours)}
    plain.await_results(ids[plain.name], 90)
    for queue in ours:
        _await_done(world, queue, ids[queue.name])
    [old] = plain.await_ready_pods(1)
    pods = {queue.name: queue.await_ready_pods(1)[0] for queue in ours}
    operator = world.chart.pods()

    rotated = replace(server, password=SECOND)
    client.execute_command("ACL", "SETUSER", "default", "resetpass", f">{SECOND}")
    client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    world.secret("rotated", url=rotated.url)
    for pod in pods.values():
        # The kubelet renews at once what is mounted in a pod that changes.
        world.kubectl("annotate", "pod", pod["metadata"]["name"], "tests/nudge=now")
    client = rotated.wait()
    for queue in (plain, *ours):
        queue.client = client
        ids[queue.name] += queue.add(3)

    plain.await_results(ids[plain.name], 120)
    world.view.eventually(lambda: _uids(plain.ready_pods()) - _uids([old]), 90, "the plain loop is rolled")
    for queue in ours:
        _await_done(world, queue, ids[queue.name])
        [pod] = queue.pods()
        assert _uids([pod]) == _uids([pods[queue.name]]), "its pods are not replaced"
        assert {each["restartCount"] for each in pod["status"]["containerStatuses"]} == {0}
    assert world.chart.pods() == operator
    _assert_that_nobody_says(world, [queue.name for queue in (plain, *ours)])


def _await_done(world: World, queue: Queue, ids: list[str]) -> None:
    done = queue.spec["next"]["stream"]
    world.view.eventually(lambda: queue.client.xlen(done) >= len(ids), RENEWED, f"{queue.name}: {len(ids)} results")
    came = Counter(fields["sq-id"] for _, fields in queue.client.xrange(done))
    assert came == dict.fromkeys(ids, 1), "a task was done twice, or never"
    assert queue.pending() == 0


def _uids(pods: list[Body]) -> set[str]:
    return {pod["metadata"]["uid"] for pod in pods}


def _assert_that_nobody_says(world: World, names: list[str]) -> None:
    said = [world.chart.log(), json.dumps(world.kubectl.get("streamqueues,events"))]
    for name in names:
        ours = f"--selector={QUEUE_LABEL}={name}"
        said.append(json.dumps(world.kubectl.get("deployments,cronjobs,jobs,pods", ours)))
        said.append(world.kubectl("logs", ours, "--all-containers", "--tail=-1", check=False).stdout)
    for secret in (FIRST, SECOND):
        assert not [number for number, text in enumerate(said) if secret in text], "a password is shown"
