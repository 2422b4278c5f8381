"""Decoding and reading on a cluster: the work goes to Dask's workers in pieces, results come back in order.

Any ``distributed.Client`` will do; ``pip install "fastctc[cluster]"`` brings Dask. Models travel to each worker once.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from fastctc.hypothesis import Hypothesis

if TYPE_CHECKING:
    from fastctc.decoders.decoder import Decoder
    from fastctc.htr.reader import Page, Reader

Errors = Literal["raise", "yield"]
Item = TypeVar("Item")
AHEAD = 3  # pieces on their way for every thread of the cluster: none waits, and a long archive is not read in at once


def decode(
    client: Any, decoder: "Decoder", sequences: Iterable[Any], *, size: int = 64, errors: Errors = "raise"
) -> Iterator[list[Hypothesis] | ValueError]:
    """Decode any number of sequences.

    Parameters
    ----------
    client : distributed.Client
    decoder : a decoder
    sequences : iterable of (frames, classes)
        Log probabilities. Taken as they are needed, so that there may be more than fit into memory.
    size : int, default 64
        How many sequences travel together.
    errors : {"raise", "yield"}, default "raise"
        What becomes of a sequence that the decoder refuses: the error ends the work, or takes the result's place.

    Yields
    ------
    list of Hypothesis
        As ``decoder.decode`` returns them, in the order of the sequences.
    """
    yield from _in_order(client, _decoded, decoder, sequences, size, errors)


def read(
    client: Any, reader: "Reader", images: Iterable[Any], *, size: int = 1, errors: Errors = "raise"
) -> "Iterator[Page | ValueError]":
    """Read any number of pages; parameters as for :func:`decode`, images as for ``Reader.read_page``.

    Images may be paths, which the workers must be able to open.
    """
    yield from _in_order(client, _read, reader, images, size, errors)


def _in_order(
    client: Any, work: Callable[[Any, list[Item]], list[Any]], tool: Any, items: Iterable[Item], size: int, errors: str
) -> Iterator[Any]:
    if size < 1:
        raise ValueError(f"size must be 1 or more, got {size}")
    if errors not in ("raise", "yield"):
        raise ValueError(f"errors must be 'raise' or 'yield', got {errors!r}")
    there = client.scatter(tool, broadcast=True, hash=False)
    rest, waiting = iter(items), deque[Any]()
    try:
        while True:
            while len(waiting) < AHEAD * max(1, sum(client.nthreads().values())):
                piece = list(islice(rest, size))
                if not piece:
                    break
                waiting.append(client.submit(work, there, piece, pure=False))
            if not waiting:
                return
            for result in waiting.popleft().result():
                if errors == "raise" and isinstance(result, ValueError):
                    raise result
                yield result
    finally:
        client.cancel(list(waiting))


def _decoded(decoder: "Decoder", sequences: list[Any]) -> list[Any]:
    try:
        return list(decoder.decode_batch(sequences))
    except ValueError:  # one of them: all the others are decoded
        return [_result(decoder.decode, sequence) for sequence in sequences]


def _read(reader: "Reader", images: list[Any]) -> list[Any]:
    return [_result(reader.read_page, image) for image in images]


def _result(work: Callable[[Any], Any], item: Any) -> Any:
    try:
        return work(item)
    except ValueError as error:
        return error
