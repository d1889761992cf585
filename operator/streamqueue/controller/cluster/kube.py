"""The one module that talks to the Kubernetes API, apart from kopf's watches.

Bodies are plain dicts: the client's typed models are neither needed nor complete for custom resources.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext

import aiohttp
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config

from streamqueue.controller.cluster import managed_fields
from streamqueue.controller.cluster.managed_fields import MANAGER
from streamqueue.controller.kinds import EVENTS, Body, Kind

STATUS_MANAGER = "streamqueue-status"
MARKS_MANAGER = "streamqueue-marks"

READ_TIMEOUT = 10.0  # seconds
WRITE_TIMEOUT = 2.0  # seconds: a write that hangs longer than this must not outlive the lease it was made under
PAGE = 100  # objects: they are parsed at one go, and a wake waits meanwhile
WRITES = 16  # at once, those on the Lease apart: more would only time out, and let the lease go with them
SILENT = 4  # of these in a namespace whose last write got no answer: a webhook of one tenant that hangs is its own

TERMINATING = "NamespaceTerminating"  # the reason of a refusal that time resolves

_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"
_JSON = "application/json"


class KubeError(Exception):
    """The API server refused or could not be reached.

    `status` is the HTTP status, 0 where there was no answer; `reason` the API's own word (`Conflict`, `AlreadyExists`).
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{reason} ({status}): {message}")
        self.status = status
        self.reason = reason
        self.message = message


class NotLeader(KubeError):
    """A write was held back because the lease is not ours any more."""

    def __init__(self) -> None:
        super().__init__(0, "NotLeader", "the lease is not held")


class Kube:
    """A thin client; writes are refused while `may_write` says no."""

    def __init__(self, api: kubernetes_client.ApiClient) -> None:
        self._api = api
        self._writes = asyncio.Semaphore(WRITES)
        self._silent: dict[str, asyncio.Semaphore] = {}  # by namespace
        self.may_write: Callable[[], bool] = lambda: True

    @classmethod
    async def connect(cls) -> Kube:
        """With the pod's service account, or else the kubeconfig."""
        configuration = kubernetes_client.Configuration()
        try:
            kubernetes_config.load_incluster_config(client_configuration=configuration)
        except kubernetes_config.ConfigException:
            await kubernetes_config.load_kube_config(client_configuration=configuration)
        configuration.retries = None
        return cls(kubernetes_client.ApiClient(configuration))

    async def close(self) -> None:
        await self._api.close()

    async def list(self, kind: Kind, namespace: str | None, selector: str = "") -> tuple[list[Body], int]:
        """All objects of a kind, in one namespace or in all of them, and the version of the list."""
        found: list[Body] = []
        query = {"limit": str(PAGE)} | ({"labelSelector": selector} if selector else {})
        while True:
            page = await self._request("GET", kind.path(namespace), query)
            for item in page["items"]:
                managed_fields.cut(item["metadata"])
                # Items of a list come without their type.
                found.append({"apiVersion": kind.api_version, "kind": kind.kind} | item)
            token = page["metadata"].get("continue")
            if not token:
                return found, int(page["metadata"]["resourceVersion"])
            query["continue"] = token

    async def get(self, kind: Kind, namespace: str, name: str, timeout: float = READ_TIMEOUT) -> Body | None:  # noqa: ASYNC109
        """The object, or None where there is none."""
        try:
            return await self._request("GET", kind.path(namespace, name), timeout=timeout)
        except KubeError as error:
            if error.status == 404:
                return None
            raise

    async def exists(self, kind: Kind, namespace: str, name: str, uid: str) -> bool:
        """Whether this very object is there, whatever its labels; of kinds too that we may list alone."""
        query = {"fieldSelector": f"metadata.name={name}"}
        page = await self._request("GET", kind.path(namespace), query, timeout=WRITE_TIMEOUT)
        return any(item["metadata"]["uid"] == uid for item in page["items"])

    async def create(self, kind: Kind, body: Body, *, gated: bool = True) -> Body:
        """POST: fails with `AlreadyExists` rather than adopting somebody's object, and drops no field unsaid."""
        path = kind.path(body["metadata"]["namespace"])
        query = {"fieldManager": MANAGER, "fieldValidation": "Strict"}
        return await self._write("POST", path, query, body, gated=gated)

    async def replace(self, kind: Kind, body: Body, *, gated: bool = True) -> Body:
        """PUT, fenced by the body's own resourceVersion."""
        path = kind.path(body["metadata"]["namespace"], body["metadata"]["name"])
        return await self._write("PUT", path, {}, body, gated=gated)

    async def apply(self, kind: Kind, body: Body) -> Body:
        """Server-side apply of the full object. `metadata.uid` in the body keeps it from creating one."""
        path = kind.path(body["metadata"]["namespace"], body["metadata"]["name"])
        return await self._write("PATCH", path, {"fieldManager": MANAGER, "force": "true"}, body, _APPLY)

    async def set_managed_fields(self, kind: Kind, live: Body, entries: Sequence[Body]) -> Body:
        """Who set which of its fields, fenced by the version of `live`."""
        metadata = live["metadata"]
        values = {"managedFields": entries, "resourceVersion": metadata["resourceVersion"]}
        changes = [{"op": "replace", "path": f"/metadata/{name}", "value": value} for name, value in values.items()]
        path = kind.path(metadata["namespace"], metadata["name"])
        return await self._write("PATCH", path, {"fieldManager": MANAGER}, changes, _JSON_PATCH)

    async def apply_status(self, kind: Kind, body: Body) -> Body:
        path = kind.path(body["metadata"]["namespace"], body["metadata"]["name"], "status")
        return await self._write("PATCH", path, {"fieldManager": STATUS_MANAGER, "force": "true"}, body, _APPLY)

    async def annotate(self, kind: Kind, namespace: str, name: str, annotations: Mapping[str, str | None]) -> Body:
        """Set annotations, or remove those given as None."""
        body = {"metadata": {"annotations": dict(annotations)}}
        return await self._write("PATCH", kind.path(namespace, name), {"fieldManager": MARKS_MANAGER}, body, _MERGE)

    async def emit(self, event: Body) -> None:
        await self._write("POST", EVENTS.path(event["metadata"]["namespace"]), {}, event)

    async def _write(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Body | Sequence[Body],
        content: str = _JSON,
        *,
        gated: bool = True,
    ) -> Body:
        if not gated:
            return await self._request(method, path, query, body, content, WRITE_TIMEOUT)
        namespace = path.partition("/namespaces/")[2].partition("/")[0]
        async with self._silent.get(namespace) or nullcontext(), self._writes:
            if not self.may_write():
                raise NotLeader
            is_silent = False
            try:
                return await self._request(method, path, query, body, content, WRITE_TIMEOUT)
            except KubeError as error:
                is_silent = not error.status
                raise
            finally:
                if is_silent:
                    self._silent.setdefault(namespace, asyncio.Semaphore(SILENT))
                else:
                    self._silent.pop(namespace, None)

    async def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Body | Sequence[Body] | None = None,
        content: str = _JSON,
        timeout: float = READ_TIMEOUT,  # noqa: ASYNC109 - the client takes it per request
    ) -> Body:
        call = await self._api.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": _JSON, "Content-Type": content},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response = await self._api.call_api(*call, _request_timeout=aiohttp.ClientTimeout(total=timeout))
            data = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise KubeError(0, "Unreachable", f"{method} {path}: {type(error).__name__}: {error}") from error
        if response.status >= 400:
            raise _refusal(response.status, method, path, data)
        answer: Body = json.loads(data)
        return answer


def _refusal(status: int, method: str, path: str, data: bytes) -> KubeError:
    try:
        answer = json.loads(data)
    except ValueError:
        return KubeError(status, str(status), f"{method} {path}")
    causes = [cause.get("reason") for cause in (answer.get("details") or {}).get("causes", [])]
    reason = TERMINATING if TERMINATING in causes else answer.get("reason") or str(status)
    return KubeError(status, reason, answer.get("message") or f"{method} {path}")
