"""A template is refused with a sentence, or there is a Deployment for it: nothing that people write ends a round."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streamqueue import manifests
from streamqueue.api.errors import SpecError
from streamqueue.api.parse import parse_spec
from streamqueue.api.template import HANDLER, RUNNER

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 70_000) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "x"]), inner, max_size=2),
    max_leaves=5,
)
# Those that the schema leaves open.
_FIELDS = ["ports", "volumeMounts", "volumeDevices", "securityContext", "lifecycle", "startupProbe", "resources"]
_POD_FIELDS = ["securityContext", "serviceAccountName", "tolerations", "imagePullSecrets", "hostAliases"]
CONTAINER = st.builds(
    lambda name, fields: fields | {"name": name},
    st.sampled_from([HANDLER, RUNNER, "proxy"]),
    st.dictionaries(st.sampled_from(_FIELDS), ANYTHING, max_size=3),
)
CONTAINERS = st.lists(CONTAINER, max_size=2)


@st.composite
def templates(draw: st.DrawFn) -> Any:
    pod = draw(st.dictionaries(st.sampled_from(_POD_FIELDS), ANYTHING, max_size=2))
    lists = draw(st.dictionaries(st.sampled_from(["containers", "initContainers"]), CONTAINERS, max_size=2))
    return {"spec": pod | lists}


@settings(max_examples=400)
@given(templates(), st.sampled_from(["redis", "sdk", "http"]))
def test_a_template_is_refused_or_made_into_a_deployment(template: Any, protocol: str) -> None:
    handler = {"image": "i", "protocol": protocol}
    if protocol != "redis":
        handler["metricsPort"] = 9000
    raw = {
        "redis": {"secretRef": {"name": "redis", "key": "url"}},
        "stream": "orders",
        "group": "workers",
        "handler": handler,
        "template": template,
    }
    try:
        spec = parse_spec(raw)
    except SpecError:
        return
    owner = manifests.Owner("orders", "shop", "u1", 1)
    image = manifests.OperatorImage("operator", "Always")
    made = manifests.deployment(owner, spec, replicas=1, secrets=None, runner=image)
    cron = manifests.cron_job(owner, spec, image=image, pods=manifests.ReclaimPods(), suspended=False)
    json.dumps([made, cron])
