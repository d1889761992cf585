"""Records the operator's metrics while a queue has a day's worth of events in minutes, for the dashboard's picture.

`python -m tests.prometheus.record` needs the test cluster with the operator installed (`make test-e2e` leaves it so).
"""

from __future__ import annotations

import os
import secrets
import sys
import threading
import time
from collections.abc import Callable

from tests.cluster.handles import load
from tests.e2e.queue import Queue
from tests.kube.chart import Chart
from tests.kube.kubectl import Kubectl
from tests.kube.redis_server import RedisServer
from tests.kube.view import View
from tests.prometheus.dashboard import RECORDING
from tests.prometheus.recording import Recording

INTERVAL = 5.0  # seconds between scrapes


def main() -> None:
    handles = load()
    kubectl = Kubectl(handles.kubectl, handles.kubeconfig)
    shop = kubectl.into(f"shop-{secrets.token_hex(2)}")
    kubectl("create", "namespace", shop.namespace)
    recording, over = Recording(), threading.Event()
    scraper = threading.Thread(target=scrape, args=(Chart(handles.helm, kubectl), recording, over))
    try:
        server = RedisServer(shop, "redis")
        server.create()
        queue = Queue(shop, View(handles.kubeconfig, shop.namespace), server, server.wait(), "orders")
        scraper.start()
        events(queue)
    finally:
        over.set()
        scraper.join()
        kubectl("delete", "namespace", shop.namespace, "--wait=false")
    recording.save(RECORDING)
    print(f"{RECORDING}: {sum(map(len, recording.lines.values()))} samples", file=sys.stderr)


def events(queue: Queue) -> None:
    """A steady trickle, a burst, a poisoned task, a worker that crashes, and quiet."""
    queue.spec["scaling"] = {"maxReplicas": 6, "targetWait": "10s"}
    queue.spec["delivery"] = {"visibilityTimeout": "10s", "maxDeliveries": 2}
    queue.apply()
    trickle(20, lambda: queue.add(1, seconds="1"))
    queue.add(60, seconds="2")
    queue.add(1, fault="raise")
    queue.add(1, fault="exit")
    trickle(50, lambda: queue.add(1, seconds="1"))
    trickle(35, lambda: None)


def trickle(seconds: float, add: Callable[[], object]) -> None:
    """One call a second, for so long."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        add()
        time.sleep(1)


def scrape(chart: Chart, recording: Recording, over: threading.Event) -> None:
    """Every pod of the operator, until told to stop."""
    while not over.wait(INTERVAL):
        for pod in chart.pods():
            path = f"/api/v1/namespaces/{chart.operator.namespace}/pods/{pod}:8080/proxy/metrics"
            done = chart.kubectl("get", "--raw", path, check=False)
            if done.returncode == 0:
                recording.add(done.stdout, time.time(), {"namespace": "streamqueue-system", "job": "streamqueue"})


if __name__ == "__main__":
    os.environ.setdefault("KUBECONFIG", load().kubeconfig)
    main()
