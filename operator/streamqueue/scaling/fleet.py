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
    held: tuple[int, ...]  # entries in the hands of each pod that has any, ready or terminating
    marked: tuple[Pod, ...]  # of all pods
    capacity: int  # pods that work or soon will: stuck ones are asked for, yet no capacity
    shared_names: bool  # consumer names don't tell the pods apart

    @property
    def live(self) -> int:
        return len(self.ready) + len(self.starting) + len(self.unschedulable) + len(self.failing)


def take_stock(observation: Observation, patience: float) -> Fleet:
    """Group the pods of an observation by state; one that starts for longer than `patience` seconds is failing."""
    ready: list[Pod] = []
    starting: list[Pod] = []
    unschedulable: list[Pod] = []
    failing: list[Pod] = []
    idle: list[Pod] = []
    held: list[int] = []
    marked: list[Pod] = []
    terminating = 0
    shared = False
    for pod in observation.pods:
        state, pending = pod.state, pod.pending
        if pod.marked:
            marked.append(pod)
        if state is PodState.READY:
            ready.append(pod)
            if pending:
                held.append(pending)
            elif pending is None:
                shared = True
            else:
                idle.append(pod)
        elif state is PodState.STARTING and observation.now - pod.created <= patience:
            starting.append(pod)
        elif state is PodState.TERMINATING:
            terminating += 1
            if pending:
                held.append(pending)
        elif state is PodState.UNSCHEDULABLE:
            unschedulable.append(pod)
        else:
            failing.append(pod)
    if shared:
        idle = list(ready) if observation.pending == 0 else []
    stuck = len(unschedulable) + len(failing)
    live = len(ready) + len(starting) + stuck
    missing = max(0, observation.replicas - live)
    return Fleet(
        replicas=observation.replicas,
        ready=tuple(ready),
        starting=tuple(starting),
        unschedulable=tuple(unschedulable),
        failing=tuple(failing),
        terminating=terminating,
        missing=missing,
        leaving=max(0, live - observation.replicas),
        idle=tuple(idle),
        held=tuple(held),
        marked=tuple(marked),
        # In a rollout there are more pods than replicas: a stuck one beyond them takes nothing from those that work.
        capacity=min(observation.replicas, len(ready) + len(starting) + missing),
        shared_names=shared,
    )
