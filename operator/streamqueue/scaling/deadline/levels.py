"""How long to keep a pod that is not needed now: the ski rental, learnt from each level's own idle gaps.

Level n is "the n-th pod". Keeping it costs its time; dropping it costs a restart once it is needed again.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

# Weight of gaps per bin, fading, and of those that are longer. Never changed; a third of a tuple's size.
Gaps: TypeAlias = "array[float]"
Prices = tuple[float, float, float]  # default, restart, lowest: see `Levels.keep`

RATIO = 1.35
BINS = 26
EDGES = tuple(RATIO**i for i in range(BINS))  # seconds: 1 .. 1,800
LONGEST = EDGES[-1]  # what is needed again later than this is never kept for it
GAP_MEMORY = 40.0  # gaps remembered per band of levels
ENOUGH = 2.0  # gaps that must have been seen before they are believed
PEAKS = 64


class Patience(NamedTuple):
    """How long a band of levels is kept idle, in seconds and looks, and the gaps that this follows from."""

    gaps: Gaps | None
    seconds: float
    looks: int


@dataclass(frozen=True, slots=True)
class Levels:
    """When each level was last needed, and the idle gaps of each band of levels.

    `peaks` holds (time, need), later and smaller from one to the next: level n was last needed at the time
    of the last entry with need >= n.
    """

    peaks: tuple[tuple[float, int], ...] = ()
    gaps: Mapping[int, Gaps] = field(default_factory=dict)
    prices: Prices = (0.0, 0.0, 0.0)
    known: Mapping[int, Patience] = field(default_factory=dict)  # per band, at these prices

    def note(self, now: float, need: int, tick: float) -> Levels:
        """Levels up to `need` are needed now; the time since they last were is a gap. Past LONGEST it is one anyway."""
        peaks = self.peaks
        gaps: dict[int, Gaps] | None = None
        while len(peaks) > 1 and now - peaks[0][0] > LONGEST:
            gaps = self._learn(gaps, peaks[1][1], peaks[0][1], now - peaks[0][0], tick)
            peaks = peaks[1:]
        if peaks and peaks[-1][1] == need:
            return Levels((*peaks[:-1], (now, need)), self.gaps if gaps is None else gaps, self.prices, self.known)
        last = len(peaks)
        below = 0  # levels up to here were needed later than the peak under the hand
        while last and peaks[last - 1][1] <= need:
            last -= 1
            time, level = peaks[last]
            gaps = self._learn(gaps, below, level, now - time, tick)
            below = level
        if last:
            gaps = self._learn(gaps, below, need, now - peaks[last - 1][0], tick)
        kept = peaks[max(0, last - PEAKS + 1) : last]
        return Levels((*kept, (now, need)), self.gaps if gaps is None else gaps, self.prices, self.known)

    def _learn(
        self, gaps: dict[int, Gaps] | None, below: int, level: int, gap: float, tick: float
    ) -> dict[int, Gaps] | None:
        if gap <= tick * 1.5 or level <= below:
            return gaps
        gaps = dict(self.gaps) if gaps is None else gaps
        for n in range(band(below + 1), band(level) + 1):
            gaps[n] = _add(gaps.get(n), gap)
        return gaps

    def keep(self, times: Sequence[float], prices: Prices, tick: float) -> tuple[list[int], Levels]:
        """For each of `times`, ascending: the highest level that is needed then or worth keeping.

        `prices`: the seconds to keep a level of which nothing is known yet; what dropping a level costs once it is
        needed again, in pod-seconds; and what dropping the first one does.
        """
        default, restart, lowest = prices
        known = self.known if prices == self.prices else {}
        new: dict[int, Patience] = {}
        kept = []
        first, peaks = 0, self.peaks  # what isn't kept at one time isn't later
        for now in times:
            while first < len(peaks):
                time, need = peaks[first]
                if now <= time:
                    break
                group = band(need)
                gaps = self.gaps.get(group)
                patience = new.get(group) or known.get(group)
                if patience is None or patience.gaps is not gaps:
                    again = restart if need > 1 else lowest
                    patience = new[group] = patience_for(gaps, min(default, again), again)
                if now - time <= patience.seconds + patience.looks * tick:
                    break
                first += 1
            kept.append(peaks[first][1] if first < len(peaks) else 0)
        if not new and prices == self.prices:
            return kept, self
        return kept, Levels(peaks, self.gaps, prices, {**known, **new})


def patience_for(gaps: Gaps | None, default: float, restart: float) -> Patience:
    """How long to keep a level of this band idle: the least sum of pods kept and restarts over the gaps seen."""
    if gaps is None or (above := sum(gaps)) < ENOUGH:
        return Patience(gaps, min(default, LONGEST), 0)
    best, found, below = above * restart, Patience(gaps, 0.0, 0), 0.0
    for edge, weight in zip(EDGES, gaps, strict=False):
        if not weight:
            continue
        below += weight * edge
        if below >= best:
            break
        above -= weight
        cost = below + above * (edge + restart)
        if cost < best - 1e-9:
            best, found = cost, Patience(gaps, edge, 1)
    return found


def band(level: int) -> int:
    """Levels that share their gaps: one by one at first, then ever wider."""
    return BANDS[level] if level < len(BANDS) else _band(level)


def _band(level: int) -> int:
    return level if level < 8 else 4 * level.bit_length() - 8 + ((level >> (level.bit_length() - 3)) & 3)


BANDS = tuple(map(_band, range(256)))


def _add(gaps: Gaps | None, gap: float) -> Gaps:
    cells = [0.0] * (BINS + 1) if gaps is None else list(gaps)
    total = sum(cells)
    if total > GAP_MEMORY:
        cells = [cell * GAP_MEMORY / total for cell in cells]
    for i, edge in enumerate(EDGES):
        if gap <= edge:
            cells[i] += 1
            break
    else:
        cells[-1] += 1
    return array("f", cells)
