"""Work on a cluster: the same results in the same order, whatever it is cut into."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import workloads
from fastctc import BeamSearch, Lexicon, WordBeamSearch, distributed

pytestmark = pytest.mark.slow

ALPHABET = workloads.alphabet(20)


@pytest.fixture(scope="module")
def client():
    dask = pytest.importorskip("distributed")
    with dask.Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=None) as made:
        yield made


@pytest.mark.parametrize("size", [1, 3, 100])
def test_decoding_in_order(client, size):
    frames = [workloads.peaky(5 + k % 4, 20, k) for k in range(25)]
    a, b = ALPHABET.characters[3:5]
    for decoder in (BeamSearch(ALPHABET, 5), WordBeamSearch(Lexicon.from_words([a, a + b], ALPHABET), 5)):
        found = list(distributed.decode(client, decoder, iter(frames), size=size))
        assert found == decoder.decode_batch(frames)


def test_no_more_is_taken_than_is_needed(client):
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield workloads.peaky(4, 20, len(taken))

    results = distributed.decode(client, BeamSearch(ALPHABET, 5), endless(), size=2)
    for _ in range(5):
        next(results)
    results.close()
    assert len(taken) <= 2 * (2 * distributed.AHEAD + 3)


def test_a_broken_sequence(client):
    frames = [workloads.peaky(4, 20, k) for k in range(7)]
    frames[3] = np.full((4, 20), np.nan)
    decoder = BeamSearch(ALPHABET, 5)
    found = list(distributed.decode(client, decoder, frames, size=4, errors="yield"))
    assert isinstance(found[3], ValueError)
    assert "NaN" in str(found[3])
    assert [found[k] for k in (0, 1, 2, 4, 5, 6)] == [decoder.decode(frames[k]) for k in (0, 1, 2, 4, 5, 6)]
    with pytest.raises(ValueError, match="NaN"):
        list(distributed.decode(client, decoder, frames, size=4))


@pytest.mark.parametrize(
    ("options", "message"), [({"size": 0}, "size must be"), ({"errors": "hide"}, "errors must be")]
)
def test_bad_options(client, options, message):
    with pytest.raises(ValueError, match=message):
        next(distributed.decode(client, BeamSearch(ALPHABET), [], **options))


def test_reading(client):
    pytest.importorskip("PIL")
    pytest.importorskip("scipy")
    from fastctc.htr.reader import Reader

    page = Path(__file__).parents[1] / "examples" / "handwriting" / "page.jpg"
    found = list(distributed.read(client, Reader(), [page, "missing.png"], errors="yield"))
    assert found[0].text == Reader().read_page(page).text
    assert isinstance(found[1], ValueError)


PROCESSES = """
from distributed import Client
from bench import workloads
from fastctc import BeamSearch, distributed
if __name__ == "__main__":
    decoder = BeamSearch(workloads.alphabet(20), 5)
    frames = [workloads.peaky(5, 20, k) for k in range(9)]
    with Client(processes=True, n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        assert list(distributed.decode(client, decoder, frames, size=2)) == decoder.decode_batch(frames)
    print("equal")
"""


def test_workers_in_other_processes(tmp_path):
    """What travels can be pickled: decoders, frames, hypotheses, errors."""
    pytest.importorskip("distributed")
    (tmp_path / "program.py").write_text(PROCESSES, encoding="utf-8")
    root = str(Path(__file__).parents[1])
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=False,
                          timeout=120, env={**os.environ, "PYTHONPATH": root})  # fmt: skip
    assert done.stdout.strip() == "equal", done.stderr
