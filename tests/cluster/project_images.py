"""The project's images: operator, examples and the Redis they are tried on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from tests.cluster import base_image, dependencies, docker, previous
from tests.cluster.keys import key_of
from tests.cluster.previous import EXTRAS, LABEL
from tests.cluster.settings import PUBLIC_PYTHON, REPOSITORY

DOCKERFILES = Path(__file__).parent / "images"


@dataclass(frozen=True)
class Image:
    """What an image is built from. `extras` None: it holds no Python dependencies; `groups` are dependency groups."""

    name: str
    dockerfile: Path
    sources: tuple[str, ...] = ()
    extras: tuple[str, ...] | None = None
    groups: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        """The name under which manifests ask for it."""
        return f"streamqueue/{self.name}:dev"


IMAGES = (
    Image("redis", DOCKERFILES / "redis.Dockerfile"),
    Image("operator", REPOSITORY / "Dockerfile", ("operator/streamqueue",), EXTRAS),
    Image("examples", DOCKERFILES / "examples.Dockerfile", ("examples",), ()),
    Image(
        "documents",
        DOCKERFILES / "documents.Dockerfile",
        ("examples/documents", "operator/streamqueue"),
        (),
        ("documents",),
    ),
    Image("examples-http", DOCKERFILES / "examples-http.Dockerfile", ("examples/http",), (), ("examples",)),
)
TAGS = (*(image.tag for image in IMAGES), previous.TAG)


class Base(Enum):
    """What the project's images start from."""

    PUBLIC = auto()
    BOOTSTRAPPED = auto()
    TRY_PULL = auto()
    BOOTSTRAP = auto()


def choose_base(*, public_here: bool, bootstrapped_here: bool, registry: bool, pulled: bool | None) -> Base:
    """`registry`: whether the node image could be pulled; where it could not, no second try is worth its time."""
    if public_here or pulled:
        return Base.PUBLIC
    if bootstrapped_here:
        return Base.BOOTSTRAPPED
    return Base.TRY_PULL if registry and pulled is None else Base.BOOTSTRAP


def choose_base_here(*, registry: bool, pulled: bool | None = None) -> Base:
    """The choice with the images that the engine holds now."""
    return choose_base(
        public_here=docker.image_id(PUBLIC_PYTHON) is not None,
        bootstrapped_here=docker.image_id(base_image.tag()) is not None,
        registry=registry,
        pulled=pulled,
    )


def build(base: str, report: Callable[[str], None]) -> list[str]:
    """Build those images whose inputs changed; returns their tags."""
    built: list[str] = []
    for image in IMAGES:
        report(image.tag)
        sources = [REPOSITORY / source for source in image.sources]
        if image.extras is not None:
            sources.append(dependencies.install(image.name, image.extras, image.groups))
        inputs = key_of([docker.image_id(base) or base], [image.dockerfile, *sources], root=REPOSITORY)
        if docker.label(image.tag, LABEL) == inputs:
            continue
        labels: Mapping[str, str] = {LABEL: inputs}
        docker.build(image.tag, image.dockerfile, REPOSITORY, arguments={"BASE": base}, labels=labels, report=report)
        built.append(image.tag)
    report(previous.TAG)
    return [*built, previous.TAG] if previous.build(base) else built
