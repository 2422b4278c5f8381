"""Twin of fastctc.reference.best_path on an OpenCL device, for batches."""

from typing import Any

import numpy as np
import numpy.typing as npt

from fastctc.compiled.best_path import are_rows_of, first_of_rows
from fastctc.compiled.frames import first_bad_row
from fastctc.opencl.device import Device
from fastctc.opencl.opened import Launch

INT = np.int32
VECTOR = 32  # bytes
GROUP = 256  # items a sequence, on graphics cards
Found = tuple[tuple[int, ...], tuple[int, ...], float, int]


class BestPath:
    """Best path decoding on one device."""

    def __init__(self, device: Device) -> None:
        self.device = device

    def best_path(self, log_probs: Any, blank: int) -> Found:
        """See fastctc.reference.best_path."""
        rows = np.asarray(log_probs)
        return self.best_paths([rows], blank)[0]

    def best_paths(self, sequences: list[npt.NDArray[Any]], blank: int) -> list[Found]:
        """The same for many sequences at once, in one launch."""
        lengths = np.array([len(rows) for rows in sequences], INT)
        stack = _common_stack(sequences, lengths)
        labels, timesteps, counts, scores, doubts = self._run(stack, lengths, blank, None)
        bad = [-1] * len(sequences)
        for number in np.flatnonzero(doubts):
            bad[number] = first_bad_row(sequences[number])
        found = first_of_rows(labels, counts), first_of_rows(timesteps, counts), scores.tolist(), bad
        return list(zip(*found, strict=True))

    def batch(
        self,
        log_probs: npt.NDArray[Any],
        lengths: npt.NDArray[np.int32] | None = None,
        blank: int = -1,
        seconds: list[float] | None = None,
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float64]]:
        """Labels, timesteps, how many of them, scores.

        Parameters
        ----------
        log_probs : (B, T, C) float32 or float64
        lengths : (B,) int32, optional
            How many frames of each sequence count; by default all.
        blank : int
        seconds : list, optional
            Takes the time that the kernel took by the device's own clock.

        Returns
        -------
        labels, timesteps : (B, T) int32, of which the first ``counts[b]`` of each row mean anything
        counts : (B,) int32
        scores : (B,) float64
            The natural log probability of each best path.

        Raises
        ------
        ValueError
            For a wrong rank, dtype, lengths, or float64 on a device that has none.
        """
        return self._run(log_probs, lengths, blank, seconds)[:4]

    def _run(
        self,
        log_probs: npt.NDArray[Any],
        lengths: npt.NDArray[np.int32] | None,
        blank: int,
        seconds: list[float] | None,
    ) -> tuple[
        npt.NDArray[np.int32],
        npt.NDArray[np.int32],
        npt.NDArray[np.int32],
        npt.NDArray[np.float64],
        npt.NDArray[np.int32],
    ]:
        """What :meth:`batch` returns, and which sequences may hold a row that is not a distribution."""
        if log_probs.ndim != 3 or log_probs.dtype not in (np.float32, np.float64):
            raise ValueError(
                f"log_probs must be (B, T, C) of float32 or float64, got {log_probs.shape} {log_probs.dtype}"
            )
        n, n_frames, n_classes = log_probs.shape
        lengths = np.full(n, n_frames, INT) if lengths is None else np.ascontiguousarray(lengths, INT)
        if lengths.shape != (n,) or (n and not 0 <= lengths.min() <= lengths.max() <= n_frames):
            raise ValueError(f"lengths must be ({n},) between 0 and {n_frames}, got {lengths}")
        if not -n_classes <= blank < n_classes:
            raise ValueError(f"blank must be one of {n_classes} classes, got {blank}")
        labels, timesteps = np.empty((n, n_frames), INT), np.empty((n, n_frames), INT)
        values, counts, doubts = np.zeros((n, n_frames), log_probs.dtype), np.zeros(n, INT), np.zeros(n, INT)
        if not labels.size:
            return labels, timesteps, counts, np.zeros(n), doubts
        opened = self.device.opened.for_work(log_probs.nbytes)
        double = log_probs.dtype == np.float64
        if double and "cl_khr_fp64" not in opened.device.extensions and not opened.device.double_fp_config:
            raise ValueError(f"{opened.info.name} has no float64: give float32")
        with opened:
            how = (f"VN={VECTOR // log_probs.itemsize}", "STREAM") if opened.streams else ()
            queue = opened.queue if seconds is None else opened.profiling_queue
            source = opened.input(np.ascontiguousarray(log_probs))
            buffers = [opened.output(array) for array in (labels, timesteps, values, counts, doubts)]
            if not opened.zero_copy:  # frames that do not count add nothing to the score
                opened.cl.enqueue_copy(queue, buffers[2], values)
            reals = ("REAL=double", "INDEX=long") if double else ("REAL=float", "INDEX=int")
            arguments = source, opened.table(lengths), *buffers, n_frames, n_classes, blank % n_classes
            key = "best_path", *reals, *how
            plan = opened.plans.get(key)  # a kernel is made in a millisecond
            if plan is None:
                plan = opened.keep(key, [Launch(opened.kernel("best_path", (*reals, *how)), (), None)])
            kernel = plan[0].kernel
            kernel.set(*arguments)
            items, group = ((n,), (1,)) if opened.streams else ((n * GROUP,), (GROUP,))
            event = opened.cl.enqueue_nd_range_kernel(queue, kernel.kernel, items, group)
            for buffer, array in zip(buffers, (labels, timesteps, values, counts, doubts), strict=True):
                opened.fetch(buffer, array, queue)
                opened.done(array, buffer)
            opened.done(log_probs, source)
            if seconds is not None:
                seconds.append((event.profile.end - event.profile.start) * 1e-9)
        # One after the other, as the other backends add, so that equal scores are equal.
        scores = np.cumsum(values.astype(np.float64), axis=1)[:, -1]
        return labels, timesteps, counts, scores, doubts


def _common_stack(sequences: list[npt.NDArray[Any]], lengths: npt.NDArray[np.int32]) -> npt.NDArray[Any]:
    """The sequences as one array (B, T, C): that which they are rows of, if it is one, without a copy."""
    whole = sequences[0].base
    if (
        isinstance(whole, np.ndarray)
        and whole.flags.c_contiguous
        and all(rows.base is whole and rows.flags.c_contiguous for rows in sequences)
        and are_rows_of(sequences, whole)
    ):
        return whole
    stack = np.zeros((len(sequences), int(lengths.max()), sequences[0].shape[1]), np.result_type(*sequences))
    for place, rows in zip(stack, sequences, strict=True):
        place[: len(rows)] = rows
    return stack
