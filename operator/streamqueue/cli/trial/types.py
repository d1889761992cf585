"""Options of `simulate` as values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from streamqueue.simulate.cluster import Nodes


class _Nodes(click.ParamType["Nodes"]):
    name = "first:pods:limit[:start]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Nodes:
        from streamqueue.simulate.cluster import Nodes

        try:
            first, pods, limit, *start = (int(part) for part in value.split(":"))
        except ValueError:
            first, pods, limit, start = -1, 0, 0, []
        if first < 0 or pods < 1 or limit < max(1, first) or len(start) > 1 or any(second < 0 for second in start):
            self.fail(
                f"{value!r} is not FIRST:PODS:LIMIT or FIRST:PODS:LIMIT:START, whole numbers as in 2:10:8:90",
                param,
                ctx,
            )
        return Nodes(first, pods, limit, float(start[0]) if start else 60.0)


NODES = _Nodes()
