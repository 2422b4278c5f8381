"""The corpus of the fuzzers, replayed: files that once broke something are refused, and good ones are taken."""

from pathlib import Path

import pytest
from fuzz import targets

CORPUS = Path(__file__).parent / "fuzz" / "corpus"
FILES = sorted(path for path in CORPUS.glob("*/*"))
NEEDS = {"image": "PIL", "tiff": "PIL", "pdf": "pypdfium2", "page": "PIL"}


def test_every_target_has_a_corpus():
    assert {path.parent.name for path in FILES} == set(targets.TARGETS)


@pytest.mark.filterwarnings("ignore")  # of libraries, about what they find in damaged files
@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_corpus(path, tmp_path):
    name = path.parent.name
    pytest.importorskip(NEEDS.get(name, "numpy"))
    taken = targets.attempt(name, path.read_bytes(), tmp_path)
    assert taken == (not path.name.startswith("found-"))
