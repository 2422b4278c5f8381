"""Pipeline: several operations on images that stay on the device between them."""

from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fastctc.imaging.footprints import Footprint
from fastctc.imaging.pixels import Border, Image, as_border, as_pixels, oriented_footprint
from fastctc.opencl.device import Device
from fastctc.opencl.morphology import enqueue
from fastctc.opencl.opened import Opened


class Pipeline:
    """Upload once, work, download once.

    Parameters
    ----------
    device : Device or str
        ``"opencl"``, ``"opencl:cpu"``, ``"opencl:gpu"``, ... as :class:`Device` takes them.
    profile : bool, default False
        Whether :attr:`seconds` is kept, at the cost of a microsecond a step.

    Examples
    --------
    >>> import numpy as np
    >>> from fastctc.opencl import Pipeline
    >>> image = np.zeros((40, 200), np.uint8)
    >>> with Pipeline("opencl:cpu") as p:
    ...     closed = p.upload(image).dilation(3).erosion(3).download()
    >>> closed.shape
    (40, 200)
    """

    def __init__(self, device: Device | str = "opencl", *, profile: bool = False) -> None:
        self.device = Device(device) if isinstance(device, str) else device
        self.profile = profile
        self._image: Any = None
        self._spare: list[tuple[int, Any]] = []  # buffers that this queue, which keeps its order, may write to again
        self._events: list[tuple[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._set_aside()
        spare, self._spare = self._spare, []
        if spare and error is None:
            opened = self.device.opened
            with opened:
                self._queue.finish()
                for size, buffer in spare:
                    opened.give_back(size, buffer)

    def upload(self, image: npt.ArrayLike) -> Self:
        """Bring an image (H, W) or a batch (N, H, W) to the device; on processors nothing is copied."""
        pixels, dtype = as_pixels(image)
        batch = pixels if pixels.ndim == 3 else pixels[None]
        opened = self.device.opened
        with opened:
            # The host's array stays as it is: every step writes to a buffer of its own.
            self._set_aside()
            borrowed = not opened.zero_copy and batch.size > 0
            self._image = _OnDevice(opened.input(batch) if batch.size else None, batch, pixels.shape, dtype, borrowed)
        return self

    def erosion(
        self, footprint: Footprint = 3, *, anchor: tuple[int, int] | None = None, border: Border = "ignore"
    ) -> Self:
        """See :func:`fastctc.imaging.morphology.erosion`."""
        return self._step(footprint, anchor, border, largest=False)

    def dilation(
        self, footprint: Footprint = 3, *, anchor: tuple[int, int] | None = None, border: Border = "ignore"
    ) -> Self:
        """See :func:`fastctc.imaging.morphology.dilation`."""
        return self._step(footprint, anchor, border, largest=True)

    def opening(
        self, footprint: Footprint = 3, *, anchor: tuple[int, int] | None = None, border: Border = "ignore"
    ) -> Self:
        """See :func:`fastctc.imaging.morphology.opening`."""
        return self.erosion(footprint, anchor=anchor, border=border).dilation(footprint, anchor=anchor, border=border)

    def closing(
        self, footprint: Footprint = 3, *, anchor: tuple[int, int] | None = None, border: Border = "ignore"
    ) -> Self:
        """See :func:`fastctc.imaging.morphology.closing`."""
        return self.dilation(footprint, anchor=anchor, border=border).erosion(footprint, anchor=anchor, border=border)

    def download(self) -> Image:
        """Wait, and bring the result to the host."""
        image = self._uploaded()
        opened = self.device.opened
        result = np.empty(image.batch.shape, image.batch.dtype)
        if result.size:
            with opened:
                opened.cl.enqueue_copy(self._queue, result, image.buffer)
        return result.reshape(image.shape).view(image.dtype)

    @property
    def seconds(self) -> list[tuple[str, float]]:
        """What every step so far took on the device, by its own clock.

        Raises
        ------
        RuntimeError
            If the pipeline was not made with ``profile=True``.
        """
        if not self.profile:
            raise RuntimeError("the pipeline keeps no times: make it with profile=True")
        for _, event in self._events:
            event.wait()
        return [(name, (event.profile.end - event.profile.start) * 1e-9) for name, event in self._events]

    @property
    def _queue(self) -> Any:
        opened = self.device.opened
        return opened.profiling_queue if self.profile else opened.queue

    def _uploaded(self) -> "_OnDevice":
        if self._image is None:
            raise RuntimeError("there is no image on the device yet: upload one first")
        image: _OnDevice = self._image
        return image

    def _step(self, footprint: Footprint, anchor: tuple[int, int] | None, border: Border, *, largest: bool) -> Self:
        image = self._uploaded()
        mask, at = oriented_footprint(footprint, anchor, reflected=largest)
        mode, fill = as_border(border, image.dtype)
        if image.batch.size:
            opened = self.device.opened
            with opened:
                target = self._target(opened, image.batch.nbytes)
                events = enqueue(
                    opened,
                    self._queue,
                    image.buffer,
                    target,
                    image.batch.shape,
                    image.batch.dtype,
                    mask,
                    at,
                    mode,
                    fill,
                    largest,
                )
            self._events += [("dilation" if largest else "erosion", event) for event in events] if self.profile else []
            self._set_aside()
            self._image = _OnDevice(target, image.batch, image.shape, image.dtype, True)
        return self

    def _target(self, opened: Opened, size: int) -> Any:
        place = next((place for place, (free, _) in enumerate(self._spare) if free == size), None)
        return opened.borrow(size) if place is None else self._spare.pop(place)[1]

    def _set_aside(self) -> None:
        """The image's buffer may be written to by what comes later in the queue."""
        image, self._image = self._image, None
        if image is not None and image.borrowed:
            self._spare.append((image.batch.nbytes, image.buffer))


class _OnDevice:
    """A buffer and what it holds; ``batch`` also keeps the host's array alive that a first buffer may lie in."""

    def __init__(self, buffer: Any, batch: Image, shape: tuple[int, ...], dtype: np.dtype[Any], borrowed: bool) -> None:
        self.buffer = buffer
        self.batch = batch
        self.shape = shape
        self.dtype = dtype
        self.borrowed = borrowed  # the buffer, from the device's own
