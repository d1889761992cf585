"""The Kubernetes client of the CLI: the operator's, with the person's kubeconfig, and merge patches."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import yaml
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config

from streamqueue.cli.errors import Failure
from streamqueue.controller.cluster.kube import Kube
from streamqueue.controller.kinds import PODS, Body, Kind

MANAGER = "streamqueue-cli"
# What the library raises for a file that is no YAML, no text, or YAML of another kind.
_NO_KUBECONFIG = (yaml.YAMLError, OSError, ValueError, LookupError, TypeError, AttributeError)
SERVICES = Kind("", "v1", "services", "Service")
JOBS = Kind("batch", "v1", "jobs", "Job")


class PersonalKube(Kube):
    """As the operator's client, plus what only people do."""

    async def patch(self, kind: Kind, namespace: str, name: str, body: Body, *, dry_run: bool) -> Body:
        """A merge patch; with `dry_run` the API server checks it and changes nothing. Raises KubeError."""
        query = {"fieldManager": MANAGER} | ({"dryRun": "All"} if dry_run else {})
        return await self._write("PATCH", kind.path(namespace, name), query, body, "application/merge-patch+json")

    async def ask_pod(self, namespace: str, name: str, path: str) -> Body:
        """What the first port of a pod answers, as JSON, through the API server. Raises KubeError."""
        return await self._request("GET", f"{PODS.path(namespace, name, 'proxy')}/{path}")


@asynccontextmanager
async def connect(context: str | None) -> AsyncIterator[tuple[PersonalKube, str]]:
    """A client and the namespace of the context. Raises Failure where there is no usable kubeconfig."""
    configuration = kubernetes_client.Configuration()
    file = os.environ.get("KUBECONFIG")  # the library would take what it was at import
    try:
        contexts, active = kubernetes_config.list_kube_config_contexts(file)
        if context:
            active = next((each for each in contexts if each["name"] == context), None)
        if active is None:
            raise Failure(f"the kubeconfig has no context {context!r}")
        await kubernetes_config.load_kube_config(file, context=context, client_configuration=configuration)
    except (kubernetes_config.ConfigException, *_NO_KUBECONFIG):
        raise Failure("no usable kubeconfig: set KUBECONFIG, or give --redis, --stream and --group") from None
    configuration.retries = None
    kube = PersonalKube(kubernetes_client.ApiClient(configuration))
    try:
        yield kube, active["context"].get("namespace") or "default"
    finally:
        await kube.close()
