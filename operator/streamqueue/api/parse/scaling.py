"""`scaling`: how many workers there may be, and what for."""

from __future__ import annotations

from streamqueue.api.block import Block
from streamqueue.api.spec import Handler, Protocol, ScaleDown, ScaleUp, Scaling, TargetBacklog, TargetWait

MAX_REPLICAS = 10_000

_SCALING = Scaling()


def parse_scaling(spec: Block, handler: Handler) -> Scaling:
    """Raises SpecError."""
    block = spec.block(
        "scaling",
        *("minReplicas", "maxReplicas", "targetWait", "targetBacklog", "replicas"),
        *("paused", "pollingInterval", "scaleDown", "scaleUp"),
    )
    if block.has("targetWait") and block.has("targetBacklog"):
        raise spec.error("scaling", "set targetWait or targetBacklog, not both")
    down = block.block("scaleDown", "delay", "maxStep")
    if down.has("delay") and not block.has("targetBacklog"):
        raise down.error("delay", "needs scaling.targetBacklog: with targetWait it is learnt, so leave it out")
    up = block.block("scaleUp", "maxStep")
    scaling = Scaling(
        min_replicas=block.integer("minReplicas", 0, MAX_REPLICAS, _SCALING.min_replicas),
        max_replicas=block.integer("maxReplicas", 1, MAX_REPLICAS, _SCALING.max_replicas),
        target=_target(block),
        replicas=block.integer("replicas", 0, MAX_REPLICAS, None),
        paused=block.flag("paused", _SCALING.paused),
        polling_interval=block.duration("pollingInterval", "200ms", "1m", _SCALING.polling_interval),
        scale_down=ScaleDown(
            delay=down.duration("delay", "0s", "1h", _SCALING.scale_down.delay),
            max_step=down.integer("maxStep", 1, MAX_REPLICAS, None),
        ),
        scale_up=ScaleUp(max_step=up.integer("maxStep", 1, MAX_REPLICAS, None)),
        concurrency=handler.concurrency,
        cordons=handler.protocol is not Protocol.REDIS,
    )
    if scaling.min_replicas > scaling.max_replicas:
        raise block.error(
            "minReplicas", f"is {scaling.min_replicas}, above maxReplicas, {scaling.max_replicas}: change one of them"
        )
    if scaling.replicas is not None and scaling.replicas > scaling.max_replicas:
        raise block.error(
            "replicas", f"is {scaling.replicas}, above maxReplicas, {scaling.max_replicas}: raise maxReplicas first"
        )
    return scaling


def _target(block: Block) -> TargetWait | TargetBacklog:
    tasks = block.integer("targetBacklog", 1, 1_000_000, None)
    if tasks is not None:
        return TargetBacklog(tasks)
    return TargetWait(block.duration("targetWait", "1s", "24h", TargetWait().seconds))
