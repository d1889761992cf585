"""`python3 -m streamqueue.worker.http`: the main container of a worker pod with `handler.protocol: http`.

Reads the `STREAMQUEUE_*` variables of `Settings` and `Target`. Exit code 0 after SIGTERM; 2: the environment cannot be
used; 1: it cannot go on.
"""

from __future__ import annotations

from streamqueue.worker.http.runner import Runner
from streamqueue.worker.http.settings import Target
from streamqueue.worker.process import run
from streamqueue.worker.settings import Settings


def main() -> Runner:
    return Runner(Settings.from_environment(), Target.from_environment())


if __name__ == "__main__":
    run(main)
