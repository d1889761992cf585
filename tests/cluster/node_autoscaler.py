"""A real node autoscaler for the tests: Karpenter, whose nodes KWOK plays.

A node of KWOK's is an object that is kept Ready; a pod on it is kept Running, and nothing runs.
"""

from collections.abc import Callable

from tests.cluster import kind
from tests.cluster.go_bundle import Bundle, Program, module_folder
from tests.cluster.handles import Handles
from tests.cluster.objects import Body, apply, await_rollout, kubectl, kustomized, parsed, with_image
from tests.cluster.settings import KUBERNETES
from tests.cluster.shell import output

KARPENTER = "sigs.k8s.io/karpenter@v1.14.1"
KWOK = "sigs.k8s.io/kwok@v0.7.0"
BUNDLE = Bundle("node-autoscaler", {"karpenter": Program(KARPENTER, "kwok"), "kwok": Program(KWOK, "cmd/kwok")})
NAMESPACE = "karpenter"
DEPLOYMENTS = (("kube-system", "kwok-controller"), (NAMESPACE, "karpenter"))
# What the chart leaves empty, and the program then refuses.
GATES = ("staticCapacity", "capacityBuffer", "nodeOverlay")


def install(handles: Handles, report: Callable[[str], None]) -> None:
    """Both on the cluster, and ready. The chart, CRDs and manifests are the modules' own."""
    kind.load(handles, (BUNDLE.tag,))
    kwok, karpenter = module_folder(KWOK), module_folder(KARPENTER)
    report("KWOK")
    apply(handles, [_ours(body) for body in kustomized(handles, kwok / "kustomize/kwok")])
    kubectl(handles, "wait", "--for=condition=Established", "crd/stages.kwok.x-k8s.io", "--timeout=60s")
    apply(handles, list(kustomized(handles, kwok / "kustomize/stage/fast")))
    report("Karpenter")
    kubectl(handles, "apply", "--server-side", f"--filename={karpenter / 'kwok/apis/crds'}")
    settings = [f"settings.featureGates.{gate}=false" for gate in GATES]
    image, _, tag = BUNDLE.tag.partition(":")
    settings += [f"controller.image.repository={image}", f"controller.image.tag={tag}", "replicas=1"]
    options = [word for setting in settings for word in ("--set", setting)]
    helm = [handles.helm, "--kubeconfig", handles.kubeconfig, "--namespace", NAMESPACE]
    chart = str(karpenter / "kwok/charts")
    asked = ["--include-crds", "--api-versions=policy/v1", f"--kube-version={KUBERNETES}"]
    rendered = output([*helm, "template", "karpenter", chart, *asked, *options])
    apply(handles, [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}])
    apply(handles, [_ours(body) for body in parsed(rendered)])
    for namespace, deployment in DEPLOYMENTS:
        await_rollout(handles, namespace, deployment)


def uninstall(handles: Handles) -> None:
    """Stop both; their CRDs stay. Nodes must be gone before: nobody would take their finalizers off afterwards."""
    for namespace, deployment in reversed(DEPLOYMENTS):
        kubectl(handles, "delete", f"deployment/{deployment}", f"--namespace={namespace}", "--ignore-not-found")


def _ours(body: Body) -> Body:
    if body["kind"] != "Deployment":
        return body
    return with_image(body, BUNDLE.tag, "kwok" if body["metadata"]["name"] == "kwok-controller" else "karpenter")
