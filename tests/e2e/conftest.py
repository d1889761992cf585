"""Fixtures of the e2e tests: one cluster, one operator installed by its chart, one namespace for the session."""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator, Iterator

import pytest
from pytest_kind import KindCluster

from tests.cluster.handles import load
from tests.e2e import concurrently
from tests.e2e.shop import orders, person, shop
from tests.e2e.transcript import incidents
from tests.e2e.world import World
from tests.kube.chart import Chart
from tests.kube.kubectl import Kubectl
from tests.kube.redis_server import RedisServer
from tests.kube.view import View

RUN_LABEL = "streamqueue.dev/e2e-run"
pytest_collection_modifyitems = concurrently.pytest_collection_modifyitems
pytest_pyfunc_call = concurrently.pytest_pyfunc_call
# Pods that ask for nothing share what is left over: next to nothing where both cores are busy, and replies are late by
# seconds.
SOME_CPU = {
    "apiVersion": "v1",
    "kind": "LimitRange",
    "metadata": {"name": "some-cpu"},
    "spec": {"limits": [{"type": "Container", "defaultRequest": {"cpu": "5m"}}]},
}
# Fixtures, for pytest to find.
__all__ = ["incidents", "orders", "person", "shop"]
_worlds: list[World] = []


def pytest_configure(config: pytest.Config) -> None:
    concurrently.pytest_configure(config)
    config.addinivalue_line("markers", "nodes: needs a node autoscaler on the cluster; run by `make test-nodes`")
    config.addinivalue_line("markers", "several: needs a cluster of several nodes; run by `make test-node-loss`")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--incidents", metavar="FILE", help="write the transcript of test_incidents.py to this page")


@pytest.fixture(scope="session")
def chart(kind_cluster: KindCluster) -> Chart:
    """The operator, installed by helm and ready."""
    kubectl = Kubectl(str(kind_cluster.kubectl_path.absolute()), str(kind_cluster.kubeconfig_path.absolute()))
    chart = Chart(os.environ.get("HELM") or load().helm, kubectl)
    chart.install()
    return chart


@pytest.fixture(scope="session")
def kubectl(chart: Chart) -> Iterator[Kubectl]:
    """kubectl in a namespace of this session's own; those that former sessions left are deleted."""
    kubectl = chart.kubectl.into(f"e2e-{secrets.token_hex(3)}")
    kubectl("delete", "namespace", "--selector", RUN_LABEL, "--wait=false")
    labels = {RUN_LABEL: kubectl.namespace}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": kubectl.namespace, "labels": labels}})
    kubectl.apply(SOME_CPU)
    yield kubectl
    kubectl("delete", "namespace", kubectl.namespace, "--wait=false")


@pytest.fixture(scope="session")
def world(kubectl: Kubectl, chart: Chart) -> World:
    """All of it together, with a Redis that most tests share."""
    server = RedisServer(kubectl, "redis", cpu="100m")
    server.create()
    world = World(kubectl, chart, View(kubectl.kubeconfig, kubectl.namespace), server)
    _worlds.append(world)
    assert world.redis.ping()
    return world


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and report.failed and _worlds:
        report.sections.append(("cluster", _worlds[-1].report()))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    figures = [figure for world in _worlds for figure in world.figures]
    if figures:
        terminalreporter.section("measured on the cluster")
        terminalreporter.write_line("\n".join(figures))
