"""What a namespace holds now and held before, by watching it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import urllib3
from kubernetes import client, config
from urllib3.exceptions import HTTPError

Body = dict[str, Any]
T = TypeVar("T")

PATHS: Mapping[str, str] = {
    "streamqueues": "/apis/streamqueue.dev/v1alpha1/namespaces/{}/streamqueues",
    "deployments": "/apis/apps/v1/namespaces/{}/deployments",
    "cronjobs": "/apis/batch/v1/namespaces/{}/cronjobs",
    "jobs": "/apis/batch/v1/namespaces/{}/jobs",
    "serviceaccounts": "/api/v1/namespaces/{}/serviceaccounts",
    "poddisruptionbudgets": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "pods": "/api/v1/namespaces/{}/pods",
    "events": "/api/v1/namespaces/{}/events",
}
# How often a condition that the watch can't see, such as one on Redis, is looked at.
LOOK_AGAIN = 0.5  # seconds


class View:
    """One watch per kind, each in a thread that ends with the process."""

    def __init__(self, kubeconfig: str, namespace: str) -> None:
        login = client.Configuration()
        config.load_kube_config(kubeconfig, client_configuration=login)
        self._host = login.host
        self._http = urllib3.PoolManager(
            ca_certs=login.ssl_ca_cert, cert_file=login.cert_file, key_file=login.key_file, maxsize=len(PATHS) + 1
        )
        self._changed = threading.Condition()
        self._changes = 0
        self._now: dict[str, dict[str, Body]] = {kind: {} for kind in PATHS}
        self._seen: list[tuple[float, str, str, Body]] = []
        for kind, path in PATHS.items():
            threading.Thread(target=self._follow, args=(kind, path.format(namespace)), daemon=True).start()

    def get(self, kind: str, name: str) -> Body | None:
        """The object as last seen; None where there is none."""
        return self._now[kind].get(name)

    def all(self, kind: str, labels: Mapping[str, str]) -> list[Body]:
        """The objects that carry these labels."""
        return [body for body in list(self._now[kind].values()) if _carries(body, labels)]

    def ever(self, kind: str) -> list[Body]:
        """Every state of every object of this kind that the watch saw."""
        return [body for _, of, _, body in list(self._seen) if of == kind]

    def seen(self, kind: str, name: str) -> list[tuple[float, Body]]:
        """Every state of the object that the watch saw, with its time (monotonic seconds)."""
        return [(when, body) for when, of, named, body in list(self._seen) if (of, named) == (kind, name)]

    def last_change(self, kind: str) -> float:
        """When the watch saw any object of this kind change last (monotonic seconds); 0.0 if it never did."""
        return next((when for when, of, *_ in reversed(list(self._seen)) if of == kind), 0.0)

    def eventually(self, condition: Callable[[], T], timeout: float, describe: str) -> T:
        """The condition's first true value; looked at upon each change, and on the clock for what isn't watched."""
        deadline = time.monotonic() + timeout
        while True:
            changes = self._changes
            value = condition()
            if value:
                return value
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"after {timeout:g} s still not: {describe}")
            with self._changed:
                if self._changes == changes:
                    self._changed.wait(min(left, LOOK_AGAIN))

    def _follow(self, kind: str, path: str) -> None:
        while True:
            try:
                listed = json.loads(self._request(path).data)
                bodies = {body["metadata"]["name"]: body for body in listed.get("items", [])}
                for name in self._now[kind].keys() - bodies.keys():
                    self._put(kind, "DELETED", self._now[kind][name])
                for body in bodies.values():
                    self._put(kind, "ADDED", body)
                for event in self._events(path, listed["metadata"]["resourceVersion"]):
                    if event["type"] == "ERROR":
                        break  # the version is too old: list again
                    self._put(kind, event["type"], event["object"])
            except (HTTPError, OSError):
                time.sleep(1)  # no such kind yet, or the API server restarts

    def _events(self, path: str, version: str) -> Iterator[Body]:
        rest = b""
        for chunk in self._request(path, watch="1", resourceVersion=version).stream(1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from map(json.loads, lines)

    def _request(self, path: str, **query: str) -> urllib3.BaseHTTPResponse:
        """The response, its body not read yet."""
        response = self._http.request("GET", self._host + path, fields=query, preload_content=False)
        if response.status != 200:
            raise HTTPError(f"{path}: {response.status}")
        return response

    def _put(self, kind: str, change: str, body: Body) -> None:
        name = body["metadata"]["name"]
        body["metadata"].pop("managedFields", None)
        with self._changed:
            self._seen.append((time.monotonic(), kind, name, body | {"deleted": change == "DELETED"}))
            if change == "DELETED":
                self._now[kind].pop(name, None)
            else:
                self._now[kind][name] = body
            self._changes += 1
            self._changed.notify_all()


def is_ready(pod: Body) -> bool:
    """Ready, and not on its way out."""
    conditions = pod.get("status", {}).get("conditions", [])
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def _carries(body: Body, labels: Mapping[str, str]) -> bool:
    own = body["metadata"].get("labels", {})
    return all(own.get(name) == value for name, value in labels.items())
