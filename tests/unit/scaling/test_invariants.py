"""What holds for every decision, whatever was observed."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from streamqueue.api.spec import Scaling
from streamqueue.scaling import Decision, Memory, Observation, PodState, decide
from streamqueue.scaling.decide import LEARNING

from . import build

Step = tuple[Memory | None, Observation, Decision]


def play(spec: Scaling, history: list[Observation]) -> list[Step]:
    """Run `decide` over a history; each step with the memory it began from."""
    memory: Memory | None = None
    steps: list[Step] = []
    for observation in history:
        decision, after = decide(spec, memory, observation)
        steps.append((memory, observation, decision))
        memory = after
    return steps


@settings(max_examples=200)
@given(build.specs(), build.histories())
def test_every_decision_keeps_the_invariants(spec: Scaling, history: list[Observation]) -> None:
    first = -math.inf
    for memory, observation, decision in play(spec, history):
        now, have = observation.now, observation.replicas
        if memory is None or now < memory.last:  # looks at a queue that sleeps leave nothing in it
            first = now
        pods = {pod.name: pod for pod in observation.pods}

        assert decision.replicas >= 0
        change = f"{have}" if decision.replicas == have else f"{have} -> {decision.replicas}"
        assert decision.sentence.startswith(f"{change}: ")
        if decision.replicas > have:
            terminating = sum(pod.state is PodState.TERMINATING for pod in observation.pods)
            assert decision.replicas + terminating <= spec.max_replicas
            if spec.scale_up.max_step and spec.replicas is None:
                assert decision.replicas - have <= spec.scale_up.max_step
        if not observation.known or spec.paused:
            assert decision.cordoned == ()
            assert not decision.victims or sum(p.state is not PodState.TERMINATING for p in observation.pods) > have
            assert observation.known or all(pods[name].marked for name in decision.victims)
            assert decision.replicas == have or (spec.replicas is not None and decision.replicas > have)
        if spec.replicas is None and not spec.paused and observation.known:
            if observation.waiting or observation.pending:
                assert decision.replicas >= 1 or have == 0
            if decision.replicas < have:
                assert decision.replicas >= spec.min_replicas
                assert now - first >= LEARNING - 1e-6
                if spec.scale_down.max_step:
                    assert have - decision.replicas <= spec.scale_down.max_step
        for name in decision.victims:
            pod = pods[name]
            assert pod.state is not PodState.TERMINATING
            if pod.state is PodState.READY:
                # A lone victim keeps its mark while it works, and goes when next seen idle; the last pod gets it so.
                alone = [each for each in observation.pods if each.state is not PodState.TERMINATING] == [pod]
                assert pod.pending == 0 or observation.pending == 0 or pod.marked or alone
        if decision.cordoned:
            assert not observation.rollout
            assert spec.cordons and (spec.concurrency >= 4 or spec.replicas is not None)
            going = {*decision.cordoned, *(decision.victims if decision.replicas < have else ())}
            takes = [p for p in observation.pods if p.state is PodState.READY and p.name not in going]
            work = observation.waiting or observation.pending
            assert takes or not work or spec.replicas == 0
        for name in decision.cordoned:
            assert pods[name].state is PodState.READY
            assert pods[name].pending or pods[name].cordoned
        if decision.replicas < have:
            stuck = any(pod.state is PodState.UNSCHEDULABLE for pod in observation.pods)
            idle = not (observation.waiting or observation.pending)
            assert not observation.rollout or (stuck and idle)
            live = sum(pod.state is not PodState.TERMINATING for pod in observation.pods)
            shown = [since for name in decision.victims if (since := pods[name].marked_since) is not None]
            settled = sum(now - since >= 1.0 for since in shown)
            unborn = max(0, have - live)
            assert have - decision.replicas <= settled + unborn
            busy = [
                pods[name] for name in decision.victims if pods[name].state is PodState.READY and pods[name].pending
            ]
            assert not busy or have - decision.replicas <= unborn
            loose = {p.name for p in observation.pods if p.marked and p.state is PodState.READY}
            if have - decision.replicas > unborn:
                # A ReplicaSet chooses among the marked as it likes: none of them may be at work.
                assert loose <= set(decision.victims)
                assert not any(pods[name].pending for name in loose)
                # It takes unready ones first of all, whatever they do.
                unready = (PodState.STARTING, PodState.FAILING, PodState.UNSCHEDULABLE)
                assert not any(pod.pending for pod in observation.pods if pod.state in unready)


@settings(max_examples=100)
@given(build.specs(), build.histories())
def test_the_same_arguments_give_the_same_answer(spec: Scaling, history: list[Observation]) -> None:
    for memory, observation, _ in play(spec, history):
        once = decide(spec, memory, observation)
        assert decide(spec, memory, observation) == once


@settings(max_examples=200)
@given(build.specs(), st.data())
def test_a_new_process_never_lowers_the_count(spec: Scaling, data: st.DataObject) -> None:
    observation = data.draw(build.observations(1000.0))
    decision, _ = decide(spec, None, observation)
    if spec.replicas is None:
        assert decision.replicas >= observation.replicas
