"""Every benchmark of bench/ runs once, so that none rots; with --benchmark-enable each one is timed."""

import importlib
import inspect
import itertools
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


def cases(prefix):
    return list(found(prefix))


def classes():
    for path in sorted((ROOT / "bench").glob("[!_]*.py")):
        module = importlib.import_module(f"bench.{path.stem}")
        for _, cls in inspect.getmembers(module, inspect.isclass):
            if cls.__module__ == module.__name__ and not inspect.isabstract(cls):
                yield cls


def found(prefix):
    for cls in classes():
        for method in sorted(m for m in dir(cls) if m.startswith(prefix)):
            if prefix == "peakmem_" and getattr(cls, method) is getattr(cls, method.replace(prefix, "time_"), None):
                continue  # it has run as time_
            for values in itertools.product(*getattr(cls, "params", ())):
                if hasattr(cls, "takes_seconds") and cls.takes_seconds(*values):
                    continue
                name = f"{cls.__module__.removeprefix('bench.')}.{cls.__name__}.{method}{list(values)}"
                yield pytest.param(cls, method, values, id=name)


@pytest.fixture
def ready():
    """Makes a benchmark ready, and clears up after it."""
    made = []

    def make(cls, values):
        instance = cls()
        try:
            getattr(instance, "setup", lambda *_: None)(*values)
        except NotImplementedError as reason:
            pytest.skip(str(reason))
        made.append((instance, values))
        return instance

    yield make
    for instance, values in made:
        getattr(instance, "teardown", lambda *_: None)(*values)


def test_that_memory_and_quality_stand_beside_every_time():
    alone = [
        cls.__qualname__
        for cls in classes()
        if any(m.startswith("time") for m in dir(cls))
        and not (any("peakmem" in m for m in dir(cls)) and any(m.startswith("track_") for m in dir(cls)))
    ]
    assert not alone


@pytest.mark.parametrize(("cls", "method", "values"), cases("time_"))
def test_time(cls, method, values, ready, benchmark):
    benchmark(getattr(ready(cls, values), method), *values)


@pytest.mark.parametrize(("cls", "method", "values"), [*cases("track_"), *cases("peakmem_")])
def test_quality(cls, method, values, ready):
    getattr(ready(cls, values), method)(*values)


@pytest.mark.parametrize(("cls", "method", "values"), cases("timeraw_"))
def test_raw(cls, method, values):
    compile(getattr(cls(), method)(*values), method, "exec")
