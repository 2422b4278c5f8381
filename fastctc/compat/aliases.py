"""Imports under foreign names: the module that answers is the very one that has the name at home."""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from types import ModuleType

HOME = "fastctc.compat."


class AliasLoader(Loader):
    """Give a module that has been imported under its own name, or is imported now, another name too."""

    def __init__(self, target: str) -> None:
        self.target = target
        self._own: ModuleSpec | None = None

    def create_module(self, _spec: ModuleSpec) -> ModuleType:
        """The one module."""
        module = importlib.import_module(self.target)
        self._own = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Put the module's own spec back, which the import replaced; the module has run already."""
        module.__spec__ = self._own


class AliasFinder(MetaPathFinder):
    """Answer imports of foreign modules, of their submodules, and of the packages that lead to them."""

    def __init__(self) -> None:
        self.modules: dict[str, str] = {}
        self.attributes: dict[str, dict[str, str]] = {}

    @classmethod
    def answer(cls, row: dict[str, str]) -> None:
        """Answer one more drop-in's names, from now on."""
        finder = next((f for f in sys.meta_path if isinstance(f, cls)), None)
        if finder is None:
            finder = cls()
            sys.meta_path.insert(0, finder)
        for foreign, ours in row.items():
            module, _, attribute = foreign.partition(":")
            if attribute:
                finder.attributes.setdefault(module, {})[attribute] = HOME + ours
                if module in sys.modules:
                    finder._replace_attributes(sys.modules[module])
            elif finder.modules.get(module) != HOME + ours:
                finder.modules[module] = HOME + ours
                _forget(module)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module that is answered here."""
        ours = self._target(fullname)
        if ours is not None:
            home = _home(ours)
            if home is not None:
                alias = ModuleSpec(fullname, AliasLoader(ours), origin=home.origin)
                alias.submodule_search_locations = home.submodule_search_locations
                return alias
            return self._beside(fullname)
        if fullname in self.attributes:
            spec = self._elsewhere(fullname, path, target)
            if spec is not None and spec.loader is not None:
                self._replace_after(spec.loader)
            return spec
        on_the_way = any(name.startswith(fullname + ".") for name in self.modules)
        if on_the_way and self._elsewhere(fullname, path, target) is None:
            return ModuleSpec(fullname, None, is_package=True)
        return None

    def _target(self, fullname: str) -> str | None:
        """The name at home of a foreign module, whether or not there is one."""
        for name, ours in self.modules.items():
            if fullname == name or fullname.startswith(name + "."):
                return ours + fullname.removeprefix(name)
        return None

    def _beside(self, fullname: str) -> ModuleSpec | None:
        """A submodule that only the foreign package has, as its tests and data, if that package is there."""
        parent, _, _ = fullname.rpartition(".")
        if not parent:
            return None
        found = self._beside(parent) if "." in parent else PathFinder.find_spec(parent)
        if found is None or found.submodule_search_locations is None:
            return None
        return PathFinder.find_spec(fullname, found.submodule_search_locations)

    def _elsewhere(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        """The spec that the other finders give."""
        for finder in sys.meta_path:
            if finder is not self:
                spec = finder.find_spec(fullname, path, target)
                if spec is not None:
                    return spec
        return None

    def _replace_after(self, loader: Loader) -> None:
        """Let a loader put our names in when it has run the module."""
        run = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            self._replace_attributes(module)

        loader.exec_module = exec_module  # type: ignore[method-assign]

    def _replace_attributes(self, module: ModuleType) -> None:
        for attribute, ours in self.attributes[module.__name__].items():
            home, _, name = ours.rpartition(".")
            setattr(module, attribute, getattr(importlib.import_module(home), name))


def _home(ours: str) -> ModuleSpec | None:
    """The spec of a module of ours; None where the module, or a package that would lead to it, is missing."""
    parent, _, _ = ours.rpartition(".")
    package = _home(parent) if parent else None
    if parent and (package is None or package.submodule_search_locations is None):
        return None
    return find_spec(ours)


def _forget(foreign: str) -> None:
    """Take a module that was imported before, and its submodules, out of reach of imports to come."""
    for name in [n for n in sys.modules if n == foreign or n.startswith(foreign + ".")]:
        del sys.modules[name]
    parent, _, last = foreign.rpartition(".")
    if parent in sys.modules:
        vars(sys.modules[parent]).pop(last, None)
