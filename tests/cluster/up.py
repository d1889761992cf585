"""Brings everything up, step by step; each step that is done already costs a look."""

from collections.abc import Callable, Collection
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from rich.console import Console

from tests.cluster import base_image, disk, docker, engine, go_build, kind, node_image, project_images, shell
from tests.cluster.go_bundle import Bundle
from tests.cluster.handles import Handles
from tests.cluster.node_image import Source
from tests.cluster.plan import Missing, Stage, plan
from tests.cluster.progress import Progress
from tests.cluster.project_images import Base
from tests.cluster.settings import KUBECONFIG, PUBLIC_PYTHON, PUBLISHED_NODE
from tests.cluster.tools import Tool, on_path


def up(console: Console) -> Handles:
    """A cluster that is ready, with the project's images in it. Raises HarnessError."""
    source, base = prepare(console)
    tools = on_path()
    handles = handles_of(source, {tool: str(path) for tool, path in tools.items()})
    programs = missing_programs(source, tools)
    missing = Missing(
        go=go_stage(programs),
        base=needs_bootstrap(source, base),
        packages=source is Source.BUILD and docker.image_id(node_image.packages_tag()) is None,
        node=source is Source.BUILD,
    )
    if missing.node:
        size = disk.check(go=bool(programs)) / disk.GIB
        console.print(f"No node image can be pulled: it is built from sources, with up to {size:.0f} GiB of disk.")
    with Progress(plan(missing), console).shown() as progress:
        build(progress, missing, programs, base)
        if missing.node:
            with progress.stage(Stage.NODE) as report:
                node_image.build(report)
        handles.save()
        with progress.stage(Stage.CLUSTER) as report:
            kind.ensure(handles, report)
        load_project_images(progress, handles)
    return handles


def images(console: Console) -> list[str]:
    """Build the project's images, and load them where there is a cluster; returns the tags of those that changed."""
    source, base = prepare(console)
    missing = Missing(base=needs_bootstrap(source, base))
    with Progress(plan(missing), console).shown() as progress:
        changed = build(progress, missing, (), base)
        node = kind.find_node()
        if node is not None and node.running:
            load_project_images(progress, handles_of(source, {tool: str(path) for tool, path in on_path().items()}))
    return changed


def bundle(console: Console, wanted: Bundle, stage: Stage) -> None:
    """Build other projects' programs and their image where they aren't there yet."""
    with Progress((((stage,),),), console).shown() as progress, progress.stage(stage) as report:
        wanted.build(report)


def prepare(console: Console) -> tuple[Source, Base]:
    """See to the engine, and say where node image and base come from, after trying to pull what isn't here."""
    with Progress((((Stage.ENGINE,),),), console).shown() as progress, progress.stage(Stage.ENGINE):
        engine.ensure()
    source = node_image.choose_here(pulled=None)
    registry = source is Source.PUBLISHED
    if source is Source.TRY_PULL:
        with Progress((((Stage.PULL,),),), console).shown() as progress, progress.stage(Stage.PULL):
            registry = docker.pull(PUBLISHED_NODE)
        source = node_image.choose_here(pulled=registry)
    base = project_images.choose_base_here(registry=registry)
    if base is Base.TRY_PULL:
        base = project_images.choose_base_here(registry=registry, pulled=docker.pull(PUBLIC_PYTHON))
    return source, base


def missing_programs(source: Source, tools: Collection[Tool]) -> list[str]:
    """The programs to build with Go now."""
    absent = [tool for tool in Tool if tool not in tools]
    names = go_build.wanted(absent, node=source is Source.BUILD)
    return [name for name in names if not (go_build.folder() / name).exists()]


def go_stage(programs: Collection[str]) -> Stage | None:
    """The tools alone build faster than all of Kubernetes."""
    if not programs:
        return None
    return Stage.GO if go_build.NODE_BINARY in programs else Stage.GO_TOOLS


def needs_bootstrap(source: Source, base: Base) -> bool:
    """Whether the bootstrapped Debian is wanted, for the node or for the project's images, and isn't here."""
    wanted = base in (Base.BOOTSTRAP, Base.BOOTSTRAPPED) or source is Source.BUILD
    return wanted and docker.image_id(base_image.tag()) is None


def handles_of(source: Source, tools: dict[Tool, str]) -> Handles:
    """Tools on the PATH where they will do, else those built here."""
    built = go_build.folder()
    return Handles(
        kind=tools.get(Tool.KIND, str(built / Tool.KIND)),
        kubectl=tools.get(Tool.KUBECTL, str(built / Tool.KUBECTL)),
        helm=tools.get(Tool.HELM, str(built / Tool.HELM)),
        kubeconfig=str(KUBECONFIG),
        node_image=PUBLISHED_NODE if source is Source.PUBLISHED else node_image.tag(),
    )


def build(progress: Progress, missing: Missing, programs: Collection[str], base: Base) -> list[str]:
    """The Go build and, beside it, Debian and the project's images; the first failure ends both.

    Returns the tags of the project's images that changed.
    """
    changed: list[str] = []

    def build_programs() -> None:
        if missing.go:
            with progress.stage(missing.go) as report:
                go_build.build(programs, report)

    def build_images() -> None:
        if missing.base:
            with progress.stage(Stage.BASE) as report:
                base_image.build(report)
        if missing.packages:
            with progress.stage(Stage.PACKAGES) as report:
                node_image.build_packages(report)
        with progress.stage(Stage.IMAGES) as report:
            changed.extend(project_images.build(PUBLIC_PYTHON if base is Base.PUBLIC else base_image.tag(), report))

    together(build_programs, build_images)
    return changed


def together(*jobs: Callable[[], None]) -> None:
    """Run the jobs in threads; the first exception ends the programs of the others and is raised."""
    with ThreadPoolExecutor() as pool:
        futures = [pool.submit(job) for job in jobs]
        done, unfinished = wait(futures, return_when=FIRST_EXCEPTION)
        failed = [error for future in done if (error := future.exception())]
        if failed and unfinished:
            shell.end_all()
    if failed:
        raise failed[0]


def load_project_images(progress: Progress, handles: Handles) -> list[str]:
    """Load what the cluster doesn't hold; returns the tags."""
    with progress.stage(Stage.LOAD):
        return kind.load(handles, project_images.TAGS)
