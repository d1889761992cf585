"""KEDA itself, for the benchmark that we are compared in."""

from tests.cluster import kind
from tests.cluster.go_bundle import Bundle, Program, module_folder
from tests.cluster.handles import Handles
from tests.cluster.objects import Body, apply, await_rollout, delete, kubectl, kustomized, with_image

VERSION = "2.20.2"
MODULE = f"github.com/kedacore/keda/v2@v{VERSION}"
BUNDLE = Bundle("keda", {"keda": Program(MODULE, "cmd/operator"), "keda-adapter": Program(MODULE, "cmd/adapter")})
NAMESPACE = "keda"
USER = 65532  # of its own images; ours has none
PROGRAMS = {"keda-operator": "keda", "keda-metrics-apiserver": "keda-adapter"}


def install(handles: Handles) -> None:
    """Operator and metrics server on the cluster, and ready, by the module's own manifests."""
    kind.load(handles, (BUNDLE.tag,))
    registration, others = _manifests(handles)
    apply(handles, others)
    for deployment in PROGRAMS:
        await_rollout(handles, NAMESPACE, deployment)
    # Last: what the API server reaches at the address of a Service that isn't served yet, it goes on asking.
    apply(handles, [registration])
    name = f"apiservice/{registration['metadata']['name']}"
    kubectl(handles, "wait", "--for=condition=Available", name, "--timeout=180s")


def uninstall(handles: Handles) -> None:
    """All of it, the registered metrics API first: while nobody serves it no namespace can be deleted.

    ScaledObjects must be gone before: nobody would take their finalizers off afterwards.
    """
    registration, others = _manifests(handles)
    delete(handles, [registration])
    delete(handles, others)


def _manifests(handles: Handles) -> tuple[Body, list[Body]]:
    """The registration of the metrics API, and the rest, without the webhooks that only check what people write."""
    bodies = list(kustomized(handles, module_folder(MODULE) / "config" / "minimal"))
    for body in bodies:
        if body["kind"] == "Deployment":
            with_image(body, BUNDLE.tag, PROGRAMS[body["metadata"]["name"]])
            body["spec"]["template"]["spec"]["securityContext"]["runAsUser"] = USER
    (registration,) = (body for body in bodies if body["kind"] == "APIService")
    return registration, [body for body in bodies if body is not registration]
