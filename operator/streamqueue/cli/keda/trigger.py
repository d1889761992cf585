"""The redis-streams triggers of a ScaledObject: where they look, and what they count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from streamqueue.cli.keda.objects import CannotImport, Document, block, find, items, number, switched_on
from streamqueue.cli.keda.workload import Workload

TYPE = "redis-streams"
COUNTS = ("lagCount", "pendingEntriesCount", "streamLength")
DEFAULT_PENDING = 5  # KEDA's pendingEntriesCount
_LOGIN = ("username", "password", "usernameFromEnv", "passwordFromEnv")
_TLS = ("tls", "ca", "cert", "key", "keyPassword")  # parameters that are no part of a URL
_ELSEWHERE = {"redis-cluster-streams": "a Redis Cluster", "redis-sentinel-streams": "Redis Sentinel"}


@dataclass(frozen=True, slots=True)
class Trigger:
    """`address` is host:port, None where only a Secret knows it; `counts` is the target by what is counted."""

    stream: str
    group: str | None
    address: str | None
    database: int
    tls: bool
    unsafe: bool  # certificates aren't verified
    ca: str | None  # as in `secrets`
    has_certificate: bool  # of its own, for the server
    has_password: bool
    secrets: tuple[str, ...]  # NAME/KEY of what the TriggerAuthentication reads of the URL, or where else it is
    counts: Mapping[str, int]

    @property
    def place(self) -> tuple[object, ...]:
        return self.stream, self.group, self.address, self.database


def read_triggers(
    scaled: Document, documents: Sequence[Document], workload: Workload | None
) -> tuple[Trigger, list[str]]:
    """All redis-streams triggers as one, and the types of the others. Raises CannotImport."""
    ours, others = [], []
    for given in items(block(scaled, "spec"), "triggers"):
        kind = str(given.get("type"))
        if kind in _ELSEWHERE:
            raise CannotImport(
                f"trigger {kind}: {_ELSEWHERE[kind]} isn't imported: write spec.redis by hand, as docs/redis.md has it"
            )
        if kind == TYPE:
            ours.append(_read(given, documents, workload))
        else:
            others.append(kind)
    if not ours:
        raise CannotImport(f"no trigger of type {TYPE} (has {', '.join(others) or 'none'})")
    first = ours[0]
    if any(each.place != first.place for each in ours):
        raise CannotImport("its triggers read several streams, groups or databases: make a StreamQueue of each")
    counts: dict[str, int] = {}
    for name, target in (item for each in ours for item in each.counts.items()):
        counts[name] = min(target, counts.get(name, target))  # KEDA takes what asks for more workers
    return replace(first, counts=counts), others


def _read(given: Mapping[str, Any], documents: Sequence[Document], workload: Workload | None) -> Trigger:
    metadata = block(given, "metadata")
    authentication = _authentication(given, documents)
    stream = metadata.get("stream")
    if not isinstance(stream, str) or not stream:
        raise CannotImport("the trigger names no stream")
    group = metadata.get("consumerGroup")
    counts = {name: number(metadata[name], name, 1) for name in COUNTS if name in metadata}
    return Trigger(
        stream=stream,
        group=group if isinstance(group, str) and group else None,
        address=_address(metadata, authentication, workload),
        database=number(metadata.get("databaseIndex", 0), "databaseIndex"),
        tls=switched_on(metadata.get("enableTLS")) or "tls" in authentication,
        unsafe=switched_on(metadata.get("unsafeSsl")),
        ca=authentication.get("ca"),
        has_certificate="cert" in authentication,
        has_password=any(name in metadata for name in _LOGIN)
        or not authentication.keys().isdisjoint(("password", "username")),
        secrets=tuple(where for parameter, where in authentication.items() if parameter not in _TLS),
        counts=counts or {"pendingEntriesCount": DEFAULT_PENDING},
    )


def _authentication(given: Mapping[str, Any], documents: Sequence[Document]) -> dict[str, str]:
    """Where each parameter of the TriggerAuthentication comes from, NAME/KEY of a Secret, or as near as can be told."""
    reference = block(given, "authenticationRef")
    if not reference:
        return {}
    kind = str(reference.get("kind", "TriggerAuthentication"))
    found = find(documents, kind, str(reference.get("name")))
    if found is None:
        return {"password": f"{kind} {reference.get('name')}"}
    spec = block(found, "spec")
    secrets = items(spec, "secretTargetRef")
    named = {str(each.get("parameter")): f"{each.get('name')}/{each.get('key')}" for each in secrets}
    others = {
        str(each.get("parameter")): f"{source} of {kind} {reference.get('name')}"
        for source in spec
        for each in (*items(spec, source), *items(block(spec, source), "secrets"))
    }
    return others | named


def _address(metadata: Mapping[str, Any], authentication: Mapping[str, str], workload: Workload | None) -> str | None:
    if isinstance(metadata.get("address"), str):
        return str(metadata["address"])
    if "host" in metadata:
        return f"{metadata['host']}:{metadata.get('port', 6379)}"
    if "address" in authentication or "host" in authentication:
        return None
    for names in (("addressFromEnv",), ("hostFromEnv", "portFromEnv")):
        if names[0] not in metadata:
            continue
        if workload is None:
            raise CannotImport(f"{names[0]}: give the Deployment too (-f deployment.yaml), whose environment it means")
        parts = [workload.variable(str(metadata[name])) for name in names if name in metadata]
        return None if None in parts else ":".join(str(part) for part in parts)
    raise CannotImport("the trigger has no address: neither address, host, addressFromEnv nor hostFromEnv")
