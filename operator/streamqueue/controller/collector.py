"""Python's cyclic collector looks through all that lives long again and again: with a thousand queues it holds up the
loop, and a wake, for a tenth of a second. What the lists have brought is set aside from it.
"""

from __future__ import annotations

import gc


def set_aside(*, anew: bool = False) -> None:
    """Collect what came since the last call, and look at none of what is left of it again; `anew`: at all, once more.

    What was set aside is freed when nobody holds it. Only what holds itself waits for a call with `anew`.
    """
    if anew:
        gc.unfreeze()
    gc.collect()
    gc.freeze()
