"""Which consumer is which pod. Pure.

A consumer is a pod's if it bears the pod's name, or that name, a dot and more. From any other name nothing is
inferred: in a container the pid is 1, so a fleet of `worker-<pid>` is one consumer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attribution:
    pending: Mapping[str, int | None]  # by pod; None where it can't be told
    strangers: tuple[str, ...]  # consumers that hold entries under names that are no pod's, live or past


# A queue's own name may hold dots, and so may its pods'.
_OF_A_POD = re.compile(r"(?P<pod>.+-[a-z0-9]{1,10}-[a-z0-9]{5})(\..+)?")


def pod_of(consumer: str) -> str:
    """The name of the pod, for a consumer that is named after one."""
    named = _OF_A_POD.fullmatch(consumer)
    return named["pod"] if named else consumer.partition(".")[0]


def pods_of(deployment: str) -> re.Pattern[str]:
    """The names of its pods, live or past."""
    return re.compile(rf"{re.escape(deployment)}-[a-z0-9]{{1,10}}-[a-z0-9]{{5}}")


def attribute(deployment: str, pods: Iterable[str], consumers: Mapping[str, int], complete: bool) -> Attribution:
    """Entries in each pod's hands, from the group's consumers (name -> pending).

    A pod without a consumer holds nothing, unless entries are held by strangers or `complete` is False (not all that
    hold entries are in the list): then nobody can tell.
    """
    own = pods_of(deployment)
    held: dict[str, int] = {}
    strangers = []
    for consumer, pending in consumers.items():
        pod = pod_of(consumer)
        if own.fullmatch(pod):
            held[pod] = held.get(pod, 0) + pending
        elif pending:
            strangers.append(consumer)
    absent = 0 if complete and not strangers else None
    return Attribution({pod: held.get(pod, absent) for pod in pods}, tuple(strangers))
