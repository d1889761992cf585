"""The worker pods of one observation, counted by what they can do."""

from __future__ import annotations

from dataclasses import dataclass

from streamqueue.scaling.model import Observation, Pod, PodState


@dataclass(frozen=True, slots=True)
class Fleet:
    """Counts and groups of one queue's pods.

    `replicas` is what the Deployment asks for. `missing` of those have no pod yet; `leaving` pods are
    still listed though the Deployment no longer asks for them.
    """

    replicas: int
    ready: tuple[Pod, ...]
    starting: tuple[Pod, ...]
    unschedulable: tuple[Pod, ...]
    failing: tuple[Pod, ...]
    terminating: int
    missing: int
    leaving: int
    idle: tuple[Pod, ...]  # ready, nothing in their hands
    shared_names: bool  # consumer names don't tell the pods apart

    @property
    def capacity(self) -> int:
        """Pods that work or soon will: stuck ones are asked for, yet no capacity."""
        return max(0, self.replicas - self.stuck)

    @property
    def stuck(self) -> int:
        return len(self.unschedulable) + len(self.failing)

    @property
    def live(self) -> int:
        return len(self.ready) + len(self.starting) + self.stuck


def take_stock(observation: Observation, patience: float) -> Fleet:
    """Group the pods of an observation by state; one that starts for longer than `patience` seconds is failing."""
    ready: list[Pod] = []
    starting: list[Pod] = []
    unschedulable: list[Pod] = []
    failing: list[Pod] = []
    idle: list[Pod] = []
    terminating = 0
    shared = False
    for pod in observation.pods:
        state = pod.state
        if state is PodState.READY:
            ready.append(pod)
            if pod.pending is None:
                shared = True
            elif pod.pending == 0:
                idle.append(pod)
        elif state is PodState.STARTING and observation.now - pod.created <= patience:
            starting.append(pod)
        elif state is PodState.TERMINATING:
            terminating += 1
        elif state is PodState.UNSCHEDULABLE:
            unschedulable.append(pod)
        else:
            failing.append(pod)
    if shared:
        idle = list(ready) if observation.pending == 0 else []
    live = len(ready) + len(starting) + len(unschedulable) + len(failing)
    return Fleet(
        replicas=observation.replicas,
        ready=tuple(ready),
        starting=tuple(starting),
        unschedulable=tuple(unschedulable),
        failing=tuple(failing),
        terminating=terminating,
        missing=max(0, observation.replicas - live),
        leaving=max(0, live - observation.replicas),
        idle=tuple(idle),
        shared_names=shared,
    )
