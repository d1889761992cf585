# `make` alone lists the targets. Everything else is installed by the targets themselves.
SHELL := /bin/sh
.DEFAULT_GOAL := help
UV_VERSION := 0.13.8
PYTHON ?= python3
export UV ?= $(or $(shell command -v uv 2>/dev/null),$(CURDIR)/.tools/bin/uv)
export UV_PYTHON_DOWNLOADS := never
export UV_SYSTEM_CERTS ?= 1
export PYTHONDONTWRITEBYTECODE := # each of the many processes of the tests would compile anew
BIN := .venv/bin
CLUSTER := $(BIN)/python -m tests.cluster
WITH_CLUSTER := eval "$$($(CLUSTER) print-env)" &&
PYTEST := $(BIN)/pytest
ABREAST := -n 6 --dist worksteal # they wait a lot; neighbours stay in one process, with the servers that they share

.PHONY: help render demo test lint docs format test-unit test-redis test-redis-all test-python test-e2e test-nodes test-node-loss incidents chaos chaos-long cluster-up cluster-down images keda

help: ## list the targets
	@sed -n 's/^\([a-z0-9%-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS='	' read -r target text; do \
	  printf '  make %-16s %s\n' "$$target" "$$text"; done

demo: cluster-up ## one queue from zero pods up and back to zero, on a real cluster, with a table at the end
	$(WITH_CLUSTER) $(BIN)/python -m tests.demo

test: ## all layers in order; ends at the first that fails
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory test-unit
	@$(MAKE) --no-print-directory test-redis
	@$(MAKE) --no-print-directory test-e2e

lint: .venv/.synced ## style, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/.synced ## write the pages that are made from other files
	$(BIN)/python -m docs.generate

render: .venv/.synced ## the chart with its defaults as one file for kubectl apply: dist/streamqueue.yaml
	@mkdir -p dist
	@eval "$$($(CLUSTER) print-env 2>/dev/null)"; { printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: streamqueue-system}\n' && \
	  $${HELM:-helm} template streamqueue charts/streamqueue --namespace streamqueue-system --kube-version 1.29.0 --skip-tests; \
	} > dist/streamqueue.yaml

format: .venv/.synced ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test-unit: .venv/.synced ## tests without Redis or Kubernetes
	$(PYTEST) tests/unit -n 2 --dist worksteal

test-redis: .venv/.synced ## tests against real Redis and Valkey servers, fetched by themselves
	$(PYTEST) tests/redis $(ABREAST)

test-redis-all: .venv/.synced ## the same against every server that can be had; writes docs/servers.md
	$(PYTEST) tests/redis --servers=all --table docs/servers.md $(ABREAST)

PYTHON_VERSION ?= 3.14
test-python: .venv/.synced ## unit and Redis tests on a later Python, fetched by itself: PYTHON_VERSION=3.14, or 3.13
	python=$$($(BIN)/python -m tests.pythons $(PYTHON_VERSION)) && export UV_PROJECT_ENVIRONMENT=.tools/python-$(PYTHON_VERSION) && \
	$(UV) sync --quiet --frozen --all-extras --all-groups --python $$python && \
	$$UV_PROJECT_ENVIRONMENT/bin/pytest tests/unit tests/redis --servers=valkey-9.1 -W error::DeprecationWarning $(ABREAST)

test-e2e: cluster-up ## tests on the kind cluster, but for those of `make test-nodes` and `make test-node-loss`
	$(WITH_CLUSTER) eval "$(PYTEST) tests/e2e -m 'not nodes and not several' $$($(CLUSTER) pytest-args)"

test-nodes: cluster-up ## tests with a node autoscaler: Karpenter and KWOK, built from their Go modules the first time
	$(CLUSTER) node-autoscaler
	$(WITH_CLUSTER) eval "$(PYTEST) tests/e2e -m nodes $$($(CLUSTER) pytest-args)"

test-node-loss: export STREAMQUEUE_CLUSTER := several
test-node-loss: export STREAMQUEUE_WORKERS := 2
test-node-loss: cluster-up ## a node dies under operator, workers and reclaim; on a cluster of its own, of three nodes
	$(WITH_CLUSTER) eval "$(PYTEST) tests/e2e -m several $$($(CLUSTER) pytest-args)"

incidents: cluster-up ## make five incidents on the cluster, mend them, and write docs/incidents.md
	$(WITH_CLUSTER) eval "$(PYTEST) tests/e2e/test_incidents.py --incidents docs/incidents.md $$($(CLUSTER) pytest-args)"

chaos: .venv/.synced ## 100,000 tasks in a storm, beside a naive loop; writes benchmarks/results/chaos.md
	$(PYTEST) tests/chaos -m 'not long'

MINUTES ?= 30
chaos-long: .venv/.synced ## a storm of MINUTES=30 with failovers, SIGTERMs and long tasks; writes benchmarks/results/chaos-long.md
	$(PYTEST) tests/chaos -m long --minutes $(MINUTES)

bench-%: .venv/.synced ## one benchmark: decide, redis, replay, scale, scaling, wake or worker
	$(BIN)/python -m benchmarks.$*

bench-wake: cluster-up

bench-replay bench-scale: keda

keda: cluster-up ## KEDA, built from its Go module the first time, to be compared with
	$(CLUSTER) keda

cluster-up: .venv/.synced ## Docker, tools, images and the kind cluster; seconds when they are there
	$(CLUSTER) up

cluster-down: .venv/.synced ## delete the cluster and the project's images
	$(CLUSTER) down

images: .venv/.synced ## build the project's images, and load them where there is a cluster
	$(CLUSTER) images

# All groups, so that no target removes what another has installed.
.venv/.synced: pyproject.toml uv.lock | $(UV)
	$(UV) sync --quiet --frozen --all-extras --all-groups
	@touch $@

$(CURDIR)/.tools/bin/uv:
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "error: $(PYTHON) must be Python 3.11 or newer with venv (Debian, Ubuntu: apt-get install python3-venv); or install uv" >&2; exit 2; }
	$(PYTHON) -m venv .tools
	.tools/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
