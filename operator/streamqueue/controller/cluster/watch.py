"""kopf's watches, and our own full lists, feed the store. Nothing here writes to the cluster.

`on.event` handlers leave no finalizer and no annotation on users' objects.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import kopf

from streamqueue.controller import collector
from streamqueue.controller.cluster.kube import Kube, KubeError
from streamqueue.controller.cluster.store import Store
from streamqueue.controller.kinds import PODS, STREAM_QUEUES, WATCHED, Kind
from streamqueue.controller.settings import Settings
from streamqueue.manifests.labels import OWNED_SELECTOR, WORKERS_SELECTOR

log = logging.getLogger(__name__)

# kopf relists after a lost watch without telling what vanished meanwhile; a list of our own does.
RELIST_INTERVAL = 300.0  # seconds
RETRY = 1.0  # seconds
RETRIES = (1.0, 2.0, 3.0, 5.0)  # seconds between kopf's tries, the last ever again
LISTS_SET_ASIDE = 12  # lists until the collector looks at all that they brought


class NotInstalled(Exception):
    """The API server doesn't know a kind; the message says which, and what to do."""


def selector(kind: Kind) -> str:
    """What the API server filters by: never all pods of a cluster."""
    if kind is STREAM_QUEUES:
        return ""
    return WORKERS_SELECTOR if kind is PODS else OWNED_SELECTOR


def build_registry(store: Store) -> kopf.OperatorRegistry:
    """The handlers: one per kind, each a line that feeds the store."""
    registry = kopf.OperatorRegistry()
    for kind in WATCHED:
        _register(registry, store, kind)
    kopf.on.login(registry=registry)(_login)
    return registry


class _NoDiffs(kopf.DiffBaseStorage):
    """Nothing is handled by what changed: kopf would copy each object for every event to find out."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        pass


class _Tries:
    """The pauses between tries of one request, without end: kopf's own do end, and with them the process, which the
    kubelet then holds back for minutes.
    """

    def __iter__(self) -> Iterator[float]:
        return itertools.chain(RETRIES, itertools.repeat(RETRIES[-1]))


def build_settings() -> kopf.OperatorSettings:
    """kopf for watching alone: no events, no peering, no listing of CRDs."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.persistence.diffbase_storage = _NoDiffs()
    settings.networking.request_timeout = 10
    settings.networking.error_backoffs = _Tries()
    # Handlers only feed the store: nothing is worth waiting for while another process could lead.
    settings.queueing.idle_timeout = 0.5
    settings.queueing.exit_timeout = 0.1
    for kind in WATCHED:
        if selector(kind):
            settings.watching.label_selectors[kind.group, kind.version, kind.plural] = selector(kind)
    return settings


async def run_kopf(
    store: Store, settings: Settings, stand_down: Callable[[], Awaitable[None]], stop: asyncio.Event
) -> None:
    """Watch until SIGTERM or SIGINT, which kopf handles, or `stop`; then `stand_down`: what outlives that, kopf waits
    5 s for.
    """
    registry = build_registry(store)

    @kopf.on.cleanup(registry=registry)
    async def cleanup(**_: Any) -> None:
        await stand_down()

    await kopf.operator(
        registry=registry,
        settings=build_settings(),
        # Else kopf asks for the user's name, and a container's user id need not have one.
        identity=settings.pod_name,  # type: ignore[arg-type]
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
        stop_flag=stop,
    )


async def relist(kube: Kube, store: Store, settings: Settings, kinds: Sequence[Kind] = WATCHED) -> None:
    """Bring the store up to the cluster's state; `kinds` begin with StreamQueues.

    A namespace whose queues we may not list is passed over: it was deleted, and our Role with it.
    """
    closed: set[str] = set()
    for kind in kinds:
        lists = []
        for namespace in settings.namespaces or (None,):
            if namespace in closed:
                continue
            try:
                lists.append(await kube.list(kind, namespace, selector(kind)))
            except KubeError as error:
                if kind is not STREAM_QUEUES or error.status != 403 or namespace is None:
                    raise
                closed.add(namespace)
                if closed.issuperset(settings.namespaces):
                    raise
                log.warning("namespace %s is passed over: %s", namespace, error)
        bodies = [body for found, _ in lists for body in found]
        store.replace(kind, bodies, min(version for _, version in lists), spared=closed)


async def list_first(kube: Kube, store: Store, settings: Settings, kinds: Sequence[Kind] = WATCHED) -> None:
    """The same, without which nothing can begin: tried until it succeeds. Raises `NotInstalled` where a kind is
    missing, which no watch of ours would see come.
    """
    while True:
        try:
            return await relist(kube, store, settings, kinds)
        except KubeError as error:
            if error.status == 404:
                missing = "apply the CRD streamqueues.streamqueue.dev, or let the chart do it (crds.enabled)"
                raise NotInstalled(f"the API server doesn't know what we watch: {missing}") from None
            log.warning("full list failed: %s", error)
        await asyncio.sleep(RETRY)


async def keep_relisting(kube: Kube, store: Store, settings: Settings) -> None:
    for lists in itertools.count():
        collector.set_aside(anew=lists % LISTS_SET_ASIDE == 0)
        await asyncio.sleep(RELIST_INTERVAL)
        try:
            await relist(kube, store, settings)
        except Exception as error:  # the watches go on; the next list may succeed
            log.warning("full list failed: %s", error)


def _register(registry: kopf.OperatorRegistry, store: Store, kind: Kind) -> None:
    @kopf.on.event(kind.group, kind.version, kind.plural, registry=registry)
    async def handle(event: kopf.RawEvent, **_: Any) -> None:
        if event["type"] == "DELETED":
            store.remove(kind, dict(event["object"]))
        else:
            store.show(kind, dict(event["object"]))


def _login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    # Named, so that no client library that happens to be installed logs in instead.
    return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)
