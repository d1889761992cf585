"""What rolls a fleet when a Redis Secret changes: annotations on its pods. Pure.

A plain loop has the URL in a variable, so any change must roll its pods. Our own workers read a new user and password
by themselves, busy or not; what leads elsewhere they can't follow, and it rolls them too.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

from streamqueue.api.spec import QueueSpec
from streamqueue.manifests.labels import PLACE_HASH_ANNOTATION, SECRET_HASH_ANNOTATION
from streamqueue.manifests.redis import rereads

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """Of the Secrets of all of a queue's endpoints; None where nobody can tell."""

    whole: str | None  # of all that they hold
    place: str | None  # of it without users and passwords of URLs

    @classmethod
    def of_all(cls, those: Sequence[Fingerprints]) -> Fingerprints | None:
        """None of none."""
        if not those:
            return None
        return cls(_joined([each.whole for each in those]), _joined([each.place for each in those]))

    def annotations(self, spec: QueueSpec) -> dict[str, str]:
        """For pods with the template that is derived now."""
        return self._known([PLACE_HASH_ANNOTATION if rereads(spec) else SECRET_HASH_ANNOTATION])

    def renewed(self, annotations: dict[str, str]) -> dict[str, str]:
        """A live template's annotations, as they should be now."""
        return annotations | self._known(annotations)

    def _known(self, names: Container[str]) -> dict[str, str]:
        values = {SECRET_HASH_ANNOTATION: self.whole, PLACE_HASH_ANNOTATION: self.place}
        return {name: value for name, value in values.items() if value and name in names}


def _joined(parts: Sequence[str | None]) -> str | None:
    return "-".join(part for part in parts if part) or None


def live_fingerprints(live: Body) -> Fingerprints:
    """What the running pods were started with."""
    annotations = live["spec"]["template"]["metadata"].get("annotations", {})
    return Fingerprints(annotations.get(SECRET_HASH_ANNOTATION), annotations.get(PLACE_HASH_ANNOTATION))
