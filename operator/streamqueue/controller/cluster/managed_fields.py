"""Who set the fields of an object that we created. Pure.

To the API server a POST and a server-side apply are two managers, be their name the same: what the POST set, no apply
takes away again. So its part is made an apply's before the first of them.
"""

from __future__ import annotations

from functools import reduce

from streamqueue.controller.kinds import Body

MANAGER = "streamqueue"


_THERE: Body = {".": {}}  # the field itself, beside what is in it


def cut(metadata: Body) -> None:
    """They are most of an object: what says that a POST's part is in them is all that stays."""
    if is_posted(metadata):
        metadata["managedFields"] = [{"manager": MANAGER, "operation": "Update"}]
    else:
        metadata.pop("managedFields", None)


def is_posted(metadata: Body) -> bool:
    """Whether a POST of ours, and no apply, holds fields of the object."""
    return any(map(_is_posts, metadata.get("managedFields") or ()))


def handed_over(entries: list[Body]) -> list[Body]:
    """`entries` with the POST's part as an apply's, together with what such a one holds already."""
    ours = [each for each in entries if _is_posts(each) or _is_ours(each, "Apply")]
    fields = reduce(_union, [each["fieldsV1"] for each in ours])
    return [ours[0] | {"operation": "Apply", "fieldsV1": fields}, *(each for each in entries if each not in ours)]


def _is_posts(entry: Body) -> bool:
    return _is_ours(entry, "Update")


def _is_ours(entry: Body, operation: str) -> bool:
    return (entry["manager"], entry["operation"], entry.get("subresource", "")) == (MANAGER, operation, "")


def _union(one: Body, other: Body) -> Body:
    """Of two tries of fields, where one without children is the field itself."""
    if one == other:
        return one
    one, other = one or _THERE, other or _THERE
    ones, others = other | one, one | other  # each with what the other has alone
    return {name: _union(ones[name], others[name]) for name in ones}
