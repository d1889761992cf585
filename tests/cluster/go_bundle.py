"""Programs of other projects, built from their Go modules and put into one image."""

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import docker
from tests.cluster.go_build import find_go
from tests.cluster.keys import key_of
from tests.cluster.settings import CACHE
from tests.cluster.shell import HarnessError, output, run

DOCKERFILE = Path(__file__).parent / "images" / "go-bundle.Dockerfile"
LINKER = "-s -w"


@dataclass(frozen=True)
class Program:
    """A package of a module at a version, `path@version`."""

    module: str
    package: str


@dataclass(frozen=True)
class Bundle:
    """The programs by the names of their files, which lie at the root of the image."""

    name: str
    programs: Mapping[str, Program]

    @property
    def tag(self) -> str:
        return f"streamqueue/{self.name}:dev"

    @property
    def folder(self) -> Path:
        """Where the built programs are, and nothing else."""
        modules = sorted({program.module for program in self.programs.values()})
        return CACHE / "bin" / f"{self.name}-{key_of([*modules, LINKER])}"

    def build(self, report: Callable[[str], None]) -> None:
        """Build what isn't there, programs and image: minutes the first time. Raises HarnessError."""
        missing = [name for name in self.programs if not (self.folder / name).exists()]
        for name in missing:
            report(name)
            _build(self.programs[name], self.folder / name, report)
        if missing or docker.image_id(self.tag) is None:
            docker.build(self.tag, DOCKERFILE, self.folder, report=report)


def module_folder(module: str) -> Path:
    """The folder of the module, `path@version`, in Go's cache; fetched if it isn't there. Raises HarnessError."""
    return Path(json.loads(output([_go(), "mod", "download", "-json", module]))["Dir"])


def _build(program: Program, file: Path, report: Callable[[str], None]) -> None:
    """By the versions of the module's own go.mod, its `replace` lines too, which `go install` would refuse."""
    environment = {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOGC": os.environ.get("GOGC", "400")}
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="streamqueue-go-", dir=CACHE) as target:
        built = Path(target) / file.name
        command = ["nice", _go(), "build", "-v", "-trimpath", f"-ldflags={LINKER}", "-o", str(built)]
        run(
            [*command, f"./{program.package}"],
            "go-build",
            env=environment,
            cwd=module_folder(program.module),
            report=report,
        )
        built.replace(file)


def _go() -> str:
    go = find_go()
    if go is None:
        raise HarnessError(
            "Go 1.26 or newer is needed for programs of other projects: install it from https://go.dev/dl"
        )
    return go
