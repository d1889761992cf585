"""What reclaim jobs and the runners of `protocol: http` run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OperatorImage:
    """The operator's own image, and when it is pulled."""

    name: str
    pull_policy: str
