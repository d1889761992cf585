"""What the operator remembers of one queue between rounds. All of it can be lost: it is learnt again."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from streamqueue.api.errors import SpecError
from streamqueue.api.parse import parse_spec
from streamqueue.api.spec import QueueSpec
from streamqueue.controller.cluster.children import Applied
from streamqueue.controller.cluster.kube import KubeError
from streamqueue.controller.cluster.refusal import Refusal
from streamqueue.controller.endpoints.handing_on import HandingOn
from streamqueue.controller.kinds import Body
from streamqueue.controller.recovery import Recovery
from streamqueue.controller.status.report import Reported
from streamqueue.controller.status.trimming import Trimming
from streamqueue.loop.cordon import Cordon
from streamqueue.scaling import Memory
from streamqueue.scaling.explain import Journal
from streamqueue.streams.snapshot import Snapshot


@dataclass(slots=True)
class Runtime:
    uid: str
    due: float = 0.0  # the loop's clock
    busy: bool = False  # a round is under way
    fresh: bool = True  # no round is over yet
    woken: bool = False  # an entry came since the last round began
    settling: float | None = None  # seconds from the last look until a victim's mark counts; None: none to wait for
    memory: Memory | None = None
    cordon: Cordon = field(default_factory=Cordon)
    journal: Journal = field(default_factory=Journal)
    applied: Applied = field(default_factory=Applied)
    reported: Reported = field(default_factory=Reported)
    recovery: Recovery = field(default_factory=Recovery)
    idle_since: dict[str, float] = field(default_factory=dict)  # pod -> the loop's clock
    generation: int = 0  # of the spec that the last round saw
    # Pods that were told to go and are counted: by us, or before our first look by the last leader. None: no look yet.
    busy_leaving: set[str] | None = None
    reads_on: bool = False  # a pod of this spec went on reading after SIGTERM
    server: str = ""  # where the queue was last looked at, as a hash
    had_group: bool = False
    counted: Snapshot | None = None  # the last look whose progress was counted
    trimming: Trimming = field(default_factory=Trimming)
    handing_on: HandingOn = field(default_factory=HandingOn)
    shared_consumers: bool = False
    refusal: tuple[int, Refusal] | None = None  # of the latest tries to write, and what generation was refused
    unmarked: KubeError | None = None  # why pods couldn't be marked in the last round
    failing_since: float | None = None  # monotonic: all tries to write since have failed, for what may pass
    _parsed: tuple[int, QueueSpec | SpecError] | None = None

    def rest(self, seconds: float) -> None:
        """The round is over; the next one is due after this time, or at once if an entry came meanwhile."""
        self.due = 0.0 if self.woken else time.monotonic() + seconds
        self.busy = self.fresh = False

    def use_server(self, server: str) -> None:
        """Forget what was seen on another server, where the URL has changed."""
        if self.server and self.server != server:
            self.memory, self.counted, self.had_group = None, None, False
            self.trimming, self.handing_on, self.cordon = Trimming(), HandingOn(), Cordon()
        self.server = server

    def spec(self, queue: Body) -> QueueSpec:
        """The parsed spec, parsed once per generation; raises `SpecError`."""
        generation = self.generation = queue["metadata"]["generation"]
        if self._parsed is None or self._parsed[0] != generation:
            self.reads_on = False
            try:
                self._parsed = (generation, parse_spec(queue["spec"]))
            except SpecError as error:
                self._parsed = (generation, error)
        if isinstance(self._parsed[1], SpecError):
            raise self._parsed[1]
        return self._parsed[1]
