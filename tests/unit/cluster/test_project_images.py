"""What the project's images start from."""

import pytest

from tests.cluster.project_images import Base, choose_base


@pytest.mark.parametrize(
    ("public_here", "bootstrapped_here", "registry", "pulled", "base"),
    [
        (True, True, False, None, Base.PUBLIC),
        (False, True, True, None, Base.BOOTSTRAPPED),
        (False, False, True, None, Base.TRY_PULL),
        (False, False, True, True, Base.PUBLIC),
        (False, False, True, False, Base.BOOTSTRAP),
        (False, False, False, None, Base.BOOTSTRAP),
    ],
)
def test_a_registry_that_did_not_answer_is_not_asked_again(
    public_here: bool, bootstrapped_here: bool, registry: bool, pulled: bool | None, base: Base
) -> None:
    chosen = choose_base(public_here=public_here, bootstrapped_here=bootstrapped_here, registry=registry, pulled=pulled)
    assert chosen is base
