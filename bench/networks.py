"""What another network reads beside ours, by decoder: CER on validation lines that neither was trained on.

python -m bench.networks --network rapidocr --data FOLDER [--data FOLDER …] --text FILE …
"""

import argparse
import time
from pathlib import Path

from bench.handwriting import MOST, ORDER, read_prose
from fastctc import BestPath, NGram, cer
from fastctc.htr import data
from fastctc.htr.preparation import grey
from fastctc.htr.reader import Reader
from fastctc.imaging import images


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", required=True, metavar="FILE")
    parser.add_argument("--data", action="append", required=True, metavar="FOLDER")
    parser.add_argument("--text", nargs="+", required=True, metavar="FILE", help="what the model of characters counts")
    parser.add_argument("--lines", type=int, default=MOST, metavar="N", help="of each folder (default: %(default)s)")
    options = parser.parse_args()
    lines = [line for file in options.text for line in read_prose(file).splitlines() if line.strip()]
    lm = NGram.train(lines, ORDER, unit="character", sentences=True)
    networks = {"ours": {}, Path(options.network).stem: {"network": options.network}}
    for folder in options.data:
        items = data.split(data.read(folder)[0])["val"]
        items = items[:: -(-len(items) // options.lines)]
        pictures, texts = [grey(images.read(item.image)) for item in items], [item.text for item in items]
        for name, network in networks.items():
            alphabet = Reader(**network).alphabet
            for how, options_of in (
                ("best path", {"decoder": BestPath(alphabet)}),
                ("model of characters", {"ngram": lm}),
                ("model of characters, 5 views", {"ngram": lm, "n_views": 5}),
            ):
                reader = Reader(**network, **options_of)
                start = time.perf_counter()
                read = [line.text for line in reader.read_lines(pictures)]
                each = (time.perf_counter() - start) / len(items)
                print(f"{Path(folder).name:14} {len(items):3} lines  {name:22} {how:30} CER {cer(read, texts):6.1%}"
                      f"  {1e3 * each:.0f} ms a line", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
