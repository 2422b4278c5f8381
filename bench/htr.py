"""Reading images: the network alone, lines, and the example page; time, memory, and the errors beside them."""

from pathlib import Path

from fastctc import cer
from fastctc.imaging import images

EXAMPLES = Path(__file__).parents[1] / "examples" / "handwriting"


class Lines:
    """The example line, so many times."""

    params = ([1, 16], ["numpy", "keras"])
    param_names = ("lines", "backend")

    def setup(self, lines, backend):
        self.reader, line = ready(backend, "line.jpg")
        self.images = [line] * lines
        self.time_read()

    def time_network(self, *_):
        self.reader.log_probs(self.images)

    def time_read(self, *_):
        self.reader.read_lines(self.images)

    peakmem_read = time_read

    def track_cer(self, *_):
        return cer([line.text for line in self.reader.read_lines(self.images)], [text("line.txt")] * len(self.images))


class Page:
    """The example page."""

    params = ([1, 3],)
    param_names = ("n_views",)

    def setup(self, n_views):
        self.reader, self.image = ready("numpy", "page.jpg", n_views=n_views)

    def time_read(self, *_):
        self.reader.read_page(self.image)

    peakmem_read = time_read

    def track_cer(self, *_):
        return cer(self.reader.read_page(self.image).text, text("page.txt"))


def text(name):
    return (EXAMPLES / name).read_text(encoding="utf-8").rstrip("\n")


def ready(backend, name, **options):
    """A reader and an example image; NotImplementedError where something is not installed."""
    try:
        from fastctc.htr.reader import Reader

        if backend == "keras":
            import keras  # noqa: F401
        return Reader(backend=backend, **options), images.read(EXAMPLES / name)
    except ImportError as error:
        raise NotImplementedError(str(error)) from error
