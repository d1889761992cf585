"""What others get to use the cluster with."""

import subprocess

from _pytest.config.argparsing import Parser
from pytest_kind import plugin  # type: ignore[import-untyped]

from tests.cluster.handles import Handles

HANDLES = Handles("/a b/kind", "/c/kubectl", "/a b/helm", "/d e/kubeconfig", "local/kind-node:v1")


def test_pytest_kind_takes_the_options() -> None:
    parser = Parser(_ispytest=True)
    plugin.pytest_addoption(parser)
    options = parser.parse(HANDLES.pytest_arguments())
    assert (options.cluster_name, options.keep_cluster) == ("streamqueue", True)
    assert (options.kind_bin, options.kind_kubectl_bin) == (HANDLES.kind, HANDLES.kubectl)
    assert (options.kubeconfig, options.kind_image) == (HANDLES.kubeconfig, HANDLES.node_image)


def test_a_shell_reads_the_exports() -> None:
    script = f'{HANDLES.exports()}\nprintf "%s|%s|%s" "$KUBECONFIG" "$HELM" "${{PATH%%:/c*}}"'
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "/d e/kubeconfig|/a b/helm|/a b"
