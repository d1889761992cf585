"""For all layers: property tests are never judged by their speed. In CI they draw the same examples each time; what a
new draw finds is found at a desk.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("desk", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")
