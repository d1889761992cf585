"""A Redis password that is rotated: plain loops are rolled, workers of ours read it anew in the pods that run."""

from __future__ import annotations

import pytest

from tests.e2e.queue import ECHO, SDK_IMAGE, Queue, await_arrival, worker_command
from tests.e2e.world import World
from tests.kube.redis_server import RedisServer
from tests.kube.view import Body

pytestmark = pytest.mark.concurrent(long=True)

FIRST, SECOND = "first-8f3a", "second-5b20"
RENEWED = 150  # seconds: at the latest after a minute or two the kubelet has renewed what is mounted
ALWAYS_ONE = {"minReplicas": 1, "maxReplicas": 1}

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
            handler={"image": SDK_IMAGE, "protocol": protocol, "timeout": "5s"},
            next={"stream": f"rotated-{protocol}-done"},
            template=worker_command("-c", program),
        ).apply()
        for protocol, program in (("sdk", ECHO), ("http", HTTP))
    ]
    ids = {queue.name: queue.add(3) for queue in (plain, *ours)}
    plain.await_results(ids[plain.name], 90)
    for queue in ours:
        _await_done(queue, ids[queue.name])
    [old] = plain.await_ready_pods(1)
    pods = {queue.name: queue.await_ready_pods(1)[0] for queue in ours}
    operator = world.chart.pods()

    rotated = server.rotate(client, SECOND)
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
        _await_done(queue, ids[queue.name])
        [pod] = queue.pods()
        assert _uids([pod]) == _uids([pods[queue.name]]), "its pods are not replaced"
        assert {each["restartCount"] for each in pod["status"]["containerStatuses"]} == {0}
    assert world.chart.pods() == operator
    world.assert_untold((FIRST, SECOND), (plain, *ours))


def _await_done(queue: Queue, ids: list[str]) -> None:
    await_arrival(queue.view, queue.client, queue.spec["next"]["stream"], ids, RENEWED)
    assert queue.pending() == 0


def _uids(pods: list[Body]) -> set[str]:
    return {pod["metadata"]["uid"] for pod in pods}
