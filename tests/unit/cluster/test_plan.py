"""What a run does, and the time it says is left."""

import pytest

from tests.cluster.plan import Missing, Stage, Step, Timing, plan, seconds_left

LAST: tuple[Step, ...] = (((Stage.CLUSTER,),), ((Stage.LOAD,),))


def test_nothing_missing_leaves_the_steps_that_look() -> None:
    assert plan(Missing()) == (((Stage.IMAGES,),), *LAST)


def test_images_are_built_while_go_builds() -> None:
    steps = plan(Missing(go=Stage.GO, base=True, packages=True, node=True))
    assert steps == (((Stage.GO,), (Stage.BASE, Stage.PACKAGES, Stage.IMAGES)), ((Stage.NODE,),), *LAST)


def test_tools_alone_need_no_debian() -> None:
    assert plan(Missing(go=Stage.GO_TOOLS))[0] == ((Stage.GO_TOOLS,), (Stage.IMAGES,))


@pytest.mark.parametrize(
    ("timing", "left"),
    [
        (Timing(60), 60),
        (Timing(60, elapsed=20), 40),
        (Timing(60, elapsed=59), 5.9),
        (Timing(60, elapsed=200), 20),
        (Timing(60, elapsed=200, ended=True), 0),
    ],
)
def test_a_stage_that_overruns_is_never_said_to_be_over(timing: Timing, left: float) -> None:
    assert timing.left == pytest.approx(left)


def test_a_step_takes_as_long_as_its_slowest_lane() -> None:
    steps = plan(Missing(go=Stage.GO, base=True, packages=True))
    timings = {stage: Timing(10) for stage in Stage} | {Stage.GO: Timing(600, elapsed=100)}
    assert seconds_left(steps, timings) == pytest.approx(500 + 20)
    timings[Stage.GO] = Timing(600, elapsed=100, ended=True)
    assert seconds_left(steps, timings) == pytest.approx(30 + 20)
