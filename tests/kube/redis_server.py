"""Redis servers on the test cluster, and clients for them from outside."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.kube.kubectl import Kubectl

IMAGE = "streamqueue/redis:dev"
PORT = 6379


@dataclass(frozen=True)
class RedisServer:
    """A Deployment and a Service of this name. `durable`: its data outlive the pod; `cpu`: what it requests."""

    kubectl: Kubectl
    name: str
    password: str | None = None
    durable: bool = False
    cpu: str = "20m"

    @property
    def url(self) -> str:
        """What pods use."""
        secret = f":{self.password}@" if self.password else ""
        return f"redis://{secret}{self.name}:{PORT}/0"

    def create(self, replicas: int = 1) -> None:
        """Returns at once; `wait` waits."""
        self.kubectl.apply(self._deployment(replicas), service(self.name, self.name))

    def start(self) -> None:
        self.kubectl("scale", f"deployment/{self.name}", "--replicas=1")

    def stop(self) -> None:
        """Returns when its pod is gone."""
        self.kubectl("scale", f"deployment/{self.name}", "--replicas=0")
        self.kubectl("wait", "--for=delete", "pod", f"--selector=app={self.name}", "--timeout=60s")

    def wait(self) -> Any:
        """A client, once the server answers it."""
        self.kubectl("rollout", "status", f"deployment/{self.name}", "--timeout=120s")
        return reach(self.kubectl, self.name, self.password)

    def rotate(self, client: Any, password: str) -> RedisServer:
        """Let this password alone in, and close all connections; the server as it is reached then."""
        client.execute_command("ACL", "SETUSER", "default", "resetpass", f">{password}")
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        return replace(self, password=password)

    def _deployment(self, replicas: int) -> dict[str, Any]:
        args = ["--save", ""]
        args += ["--requirepass", self.password] if self.password else []
        args += ["--appendonly", "yes", "--appendfsync", "always", "--dir", "/durable"] if self.durable else []
        resources = {"requests": {"cpu": self.cpu}}
        container: dict[str, Any] = {"name": "redis", "image": IMAGE, "args": args, "resources": resources}
        pod: dict[str, Any] = {"containers": [container], "terminationGracePeriodSeconds": 1}
        if self.durable:
            folder = f"/var/lib/{self.kubectl.namespace}-{self.name}"
            pod["volumes"] = [{"name": "data", "hostPath": {"path": folder, "type": "DirectoryOrCreate"}}]
            pod["securityContext"] = {"runAsUser": 0}  # the kubelet makes that folder for root
            container["volumeMounts"] = [{"name": "data", "mountPath": "/durable"}]
        labels = {"app": self.name}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": self.name},
            "spec": {
                "replicas": replicas,
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        }


def service(name: str, app: str) -> dict[str, Any]:
    """A Service that is reached from outside the cluster too, by a port of the node."""
    spec = {"type": "NodePort", "selector": {"app": app}, "ports": [{"port": PORT}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def reach(kubectl: Kubectl, name: str, password: str | None = None, timeout: float = 60) -> Any:
    """A client of the server behind this NodePort Service, once it answers.

    It never sends a command twice: one XADD whose answer was lost would become two tasks.
    """
    port = kubectl.get("service", name)["spec"]["ports"][0]["nodePort"]
    addresses = kubectl.get("nodes")["items"][0]["status"]["addresses"]
    host = next(address["address"] for address in addresses if address["type"] == "InternalIP")
    once = Retry(NoBackoff(), 0)
    client = redis.Redis(
        host, port, password=password, decode_responses=True, retry=once, socket_timeout=30, socket_connect_timeout=5
    )
    deadline = time.monotonic() + timeout
    while True:
        try:
            client.ping()
        except (redis.ConnectionError, redis.TimeoutError) as error:
            if time.monotonic() > deadline:
                message = f"Redis {name} does not answer at the node's address {host}:{port}: {error}"
                raise ConnectionError(message) from None
            time.sleep(0.2)
        else:
            return client
