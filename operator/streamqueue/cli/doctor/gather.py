"""Gathers the facts; what goes wrong on the way is a fact as well."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from streamqueue.api.errors import SpecError
from streamqueue.api.parse import parse_spec
from streamqueue.cli.cluster import Cluster, open_cluster
from streamqueue.cli.decisions.fetch import NotLookedAt, ask
from streamqueue.cli.doctor.facts import ClusterFacts, Facts, StreamFacts
from streamqueue.cli.doctor.look_at_cluster import look_at_cluster
from streamqueue.cli.doctor.look_at_redis import look_at_redis
from streamqueue.cli.errors import Failure
from streamqueue.cli.options import Selection
from streamqueue.cli.target import open_target, reach
from streamqueue.streams import ProblemKind, RedisProblem

# Seconds until the second look, which tells a queue that moves from one that stands.
PAUSE = 1.0
ANSWER = 3.0  # seconds that the operator has to say what it has learnt


async def gather(selection: Selection) -> Facts:
    """Raises BadInput and Failure where there is no queue to look at."""
    return await (_straight(selection) if selection.straight else _by_name(selection))


async def _straight(selection: Selection) -> Facts:
    facts = Facts(again=selection.again, now=time.time(), redis_cli=selection.redis_cli)
    try:
        async with open_target(selection) as target:
            facts = replace(facts, spec=target.spec)
            return replace(facts, stream=await look_at_redis(target.client, target.spec, PAUSE))
    except RedisProblem as problem:
        if problem.kind is ProblemKind.BAD_URL:
            raise
        return replace(facts, redis=problem)


async def _by_name(selection: Selection) -> Facts:
    async with open_cluster(selection) as cluster:
        queue = await cluster.queue(selection.queue)
        found = await _ask_operator(cluster, await look_at_cluster(cluster, queue))
        again, redis_cli, context = selection.again, selection.redis_cli, selection.context
        facts = Facts(again=again, now=time.time(), redis_cli=redis_cli, context=context, cluster=found)
        try:
            spec = parse_spec(queue["spec"])
        except SpecError:
            return facts  # the Accepted condition says it
        facts = replace(facts, spec=spec)
        stream: StreamFacts | None = None
        try:
            async with reach(cluster, spec.redis, selection) as client:
                stream = await look_at_redis(client, spec, PAUSE)
        except RedisProblem as problem:
            return replace(facts, redis=problem)
        except Failure as failure:
            return replace(facts, unreachable=failure.message)
        return replace(facts, stream=stream)


async def _ask_operator(cluster: Cluster, found: ClusterFacts) -> ClusterFacts:
    """`found`, with what the one that leads says. Why none answers is for other checks to say."""
    from streamqueue.controller.cluster.kube import KubeError

    try:
        async with asyncio.timeout(ANSWER):
            said = await ask(cluster, found.queue["metadata"]["name"], found.leases)
    except NotLookedAt:
        return replace(found, looked_at=False)
    except (TimeoutError, Failure, KubeError):
        return found
    return replace(found, cold_start=said.get("coldStartSeconds"))
