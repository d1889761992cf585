"""All that a command of the command line may import."""

from importlib import import_module
from pkgutil import walk_packages

from streamqueue import cli

for module in walk_packages(cli.__path__, f"{cli.__name__}."):
    if not module.name.endswith("__main__"):
        import_module(module.name)
