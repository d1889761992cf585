"""What a run has to do, and how much longer it takes. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """A step that a person may have to wait for."""

    ENGINE = "Docker engine"
    PULL = "Pulling the node image"
    GO = "Go build of Kubernetes, etcd, CoreDNS, kind and helm"
    GO_TOOLS = "Go build of the missing tools"
    BASE = "Debian base image"
    PACKAGES = "Debian packages of the node"
    NODE = "Node image"
    NODE_AUTOSCALER = "Go build of Karpenter and KWOK"
    KEDA = "Go build of KEDA"
    IMAGES = "Project images"
    CLUSTER = "kind cluster"
    LOAD = "Loading the images into the cluster"


# Seconds on 2 cores with empty caches; a machine's own last measurement takes their place.
USUAL: Mapping[Stage, float] = {
    Stage.ENGINE: 20,
    Stage.PULL: 60,
    Stage.GO: 600,
    Stage.GO_TOOLS: 150,
    Stage.BASE: 70,
    Stage.PACKAGES: 40,
    Stage.NODE: 45,
    Stage.NODE_AUTOSCALER: 420,
    Stage.KEDA: 660,
    Stage.IMAGES: 40,
    Stage.CLUSTER: 40,
    Stage.LOAD: 12,
}

Lane = tuple[Stage, ...]
Step = tuple[Lane, ...]
"""Lanes of one step run beside each other; the step ends with the slowest."""


@dataclass(frozen=True)
class Missing:
    """What is not there yet."""

    go: Stage | None = None
    base: bool = False
    packages: bool = False
    node: bool = False


def plan(missing: Missing) -> tuple[Step, ...]:
    """The steps of a run. Images wait for the network and the disk, the Go build for the processors: they overlap."""
    images: Lane = (*(Stage.BASE,) * missing.base, *(Stage.PACKAGES,) * missing.packages, Stage.IMAGES)
    steps: tuple[Step, ...] = (((missing.go,), images),) if missing.go else ((images,),)
    if missing.node:
        steps = (*steps, ((Stage.NODE,),))
    return (*steps, ((Stage.CLUSTER,),), ((Stage.LOAD,),))


@dataclass(frozen=True)
class Timing:
    """One stage on the clock: seconds expected, seconds since it began (None: not begun), whether it has ended."""

    expected: float
    elapsed: float | None = None
    ended: bool = False

    @property
    def left(self) -> float:
        """Seconds; a stage that overruns is taken to need another tenth of what it has had."""
        if self.ended:
            return 0.0
        if self.elapsed is None:
            return self.expected
        return max(self.expected - self.elapsed, self.elapsed / 10)


def seconds_left(steps: tuple[Step, ...], timings: Mapping[Stage, Timing]) -> float:
    """Seconds until the last step ends."""
    return sum(max(sum(timings[stage].left for stage in lane) for lane in step) for step in steps)
