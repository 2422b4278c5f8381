"""The base of the benchmarks of decoders."""

from abc import ABC, abstractmethod


class DecoderBenchmark(ABC):
    """Time and memory of ``self.decode(self.frames)``, and the cost, the negative score, of what it finds."""

    @abstractmethod
    def setup(self, *_):
        """Make ``self.frames`` and ``self.decode``."""

    def time_decode(self, *_):
        self.decode(self.frames)

    peakmem_decode = time_decode

    def track_cost(self, *_):
        return -self.decode(self.frames)[0].score

    track_cost.unit = "nats"
