"""Which manager owns the fields of an object that we created. Pure.

To the API server a POST and a server-side apply are two managers, even under one name: an apply never removes what the
POST has set. So before the first apply the POST's fields are given to it, as client-go's csaupgrade does.
"""

from __future__ import annotations

from functools import reduce

from streamqueue.controller.kinds import Body

MANAGER = "streamqueue"


_THERE: Body = {".": {}}  # the field itself, beside what is in it


def cut(metadata: Body) -> None:
    """Drop the managed fields, which are most of an object, but for a sign that a POST of ours is among them."""
    if is_posted(metadata):
        metadata["managedFields"] = [{"manager": MANAGER, "operation": "Update"}]
    else:
        metadata.pop("managedFields", None)


def is_posted(metadata: Body) -> bool:
    """Whether a POST of ours, and no apply, holds fields of the object."""
    return any(map(_is_posts, metadata.get("managedFields") or ()))


def upgraded(entries: list[Body]) -> list[Body]:
    """`entries` with the fields of our POST given to our apply, beside those that it owns already."""
    ours = [each for each in entries if _is_posts(each) or _is_ours(each, "Apply")]
    fields = reduce(_union, [each["fieldsV1"] for each in ours])
    return [ours[0] | {"operation": "Apply", "fieldsV1": fields}, *(each for each in entries if each not in ours)]


def _is_posts(entry: Body) -> bool:
    return _is_ours(entry, "Update")


def _is_ours(entry: Body, operation: str) -> bool:
    return (entry["manager"], entry["operation"], entry.get("subresource", "")) == (MANAGER, operation, "")


def _union(one: Body, other: Body) -> Body:
    """Of two trees of fields (fieldsV1), where a node without children is the field itself."""
    if one == other:
        return one
    one, other = one or _THERE, other or _THERE
    ones, others = other | one, one | other  # each with what the other has alone
    return {name: _union(ones[name], others[name]) for name in ones}
