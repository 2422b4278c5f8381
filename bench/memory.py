"""What stays in memory; how much there is at the most is measured beside every time."""

from pathlib import Path

from bench import workloads
from fastctc import BeamSearch, BestPath, Lexicon, WordBeamSearch, ctc_loss


class Growth:
    """The resident size after thousands of decodes in one process, beyond that after the first hundred."""

    params = (["best path", "beam search", "word beam search", "loss"],)
    param_names = ("what",)

    def setup(self, what):
        if not Path("/proc/self/statm").exists():
            raise NotImplementedError("the resident size is read from /proc")
        alphabet = workloads.alphabet(32)
        frames = workloads.peaky(40, 32)
        a, b, c = alphabet.characters[1:4]
        if what == "loss":
            self.run = lambda: ctc_loss(frames, a + b + c, alphabet)
            return
        if what == "word beam search":
            decoder = WordBeamSearch(Lexicon.from_words([a + b, a + b + c, b], alphabet), 10)
        else:
            decoder = BestPath(alphabet) if what == "best path" else BeamSearch(alphabet, 10)
        self.run = lambda: decoder.decode(frames)

    def track_growth(self, _):
        for _ in range(100):
            self.run()
        before = resident()
        for _ in range(5000):
            self.run()
        return max(0, round((resident() - before) / 1e6))  # less than half a MB is what the allocator does

    track_growth.unit = "MB"


def resident():
    """Bytes."""
    import resource

    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
