"""The peer: a Deployment of the same pods, scaled by KEDA's law with an HPA above it, from the same facts in Redis."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from tests.kube.kubectl import Kubectl
from tests.kube.view import Body

from streamqueue.simulate.laws import KedaConfig, KedaLaw

TICK = 0.25  # seconds between looks at the clock; the law itself acts every 30 and every 15 s


def deployment(name: str, like: Body) -> dict[str, Any]:
    """As the operator's own Deployment `like`, but for its names: the stream and the group are called `name`."""
    labels = {"app": name}
    pod = json.loads(json.dumps(like["spec"]["template"]["spec"]))
    for variable in pod["containers"][0]["env"]:
        if variable["name"] == "STREAMQUEUE_STREAM":
            variable["value"] = name
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


class Peer:
    """Carries the law out, in a thread. What the law reads is `Counted`."""

    def __init__(self, kubectl: Kubectl, redis: Any, name: str, group: str, config: KedaConfig) -> None:
        self._kubectl, self._redis, self._name, self._group = kubectl, redis, name, group
        self._law = KedaLaw(config)
        self._began = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.now, self.replicas, self.waiting, self.pending = 0.0, 0, 0, 0
        self.failed: BaseException | None = None

    @property
    def empty_until(self) -> float:
        """Nobody knows here when the next task comes, so that every look is due."""
        return self.now

    def start(self) -> None:
        """The law's clock begins: KEDA looks at once, the HPA 7 s later."""
        self._began = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._over.wait(TICK):
                self.now = time.monotonic() - self._began
                if self.now >= self._law.next_look(self.now):
                    self._look()
        except BaseException as error:  # the benchmark must not go on with a peer that stands still
            self.failed = error
            raise

    def _look(self) -> None:
        group = next(each for each in self._redis.xinfo_groups(self._name) if each["name"] == self._group)
        if group["lag"] is None:
            raise RuntimeError(f"Redis doesn't know the lag of {self._name}: the peer can't be judged")
        self.waiting, self.pending = group["lag"], group["pending"]
        want = self._law.decide(self)
        if want != self.replicas:
            self._kubectl("scale", f"deployment/{self._name}", f"--replicas={want}")
            self.replicas = want
