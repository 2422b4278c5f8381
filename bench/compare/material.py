"""What is read: lines and words that this repository renders, as its network sees them, and a text to learn words from.

The text is the English prose of Python's own documentation, which every Python brings along; another can be given. Its
last tenth is what is written and read, the rest is what language models and lexica know. The network has seen neither.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastctc import Alphabet
from fastctc.htr import fonts, synthesis
from fastctc.htr.reader import Reader


@dataclass(frozen=True)
class Material:
    """Frames (T, C) float32, log probabilities, blank last; what they should read; what is known of the language."""

    name: str
    alphabet: Alphabet
    frames: list[np.ndarray]
    texts: list[str]
    corpus: str
    n_words: int  # of a line, about

    @property
    def lines(self) -> list[str]:
        """The corpus in pieces as long as those that are read: a model of their characters knows how they end."""
        words = self.corpus.split()
        return [" ".join(words[at : at + self.n_words]) for at in range(0, len(words), self.n_words)]


def prose(files: Sequence[str] = ()) -> tuple[str, str]:
    """Words of letters only: a text to learn from, a sentence a line, and a text to read."""
    if files:
        text = " ".join(Path(file).read_text(encoding="utf-8") for file in files)
    else:
        from pydoc_data.topics import topics

        text = " ".join(topics[name] for name in sorted(topics))
    words = [re.findall(r"(?<![\w.])[A-Za-z]+(?![\w.(])", part) for part in re.split(r"[.:;!?]\s|\n\s*\n", text)]
    sentences = [" ".join(sentence) for sentence in words if len(sentence) > 2]
    cut = len(sentences) * 9 // 10
    return "\n".join(sentences[:cut]), " ".join(sentences[cut:])


def rendered(fonts_folder: str, files: Sequence[str], n_lines: int, n_words: int) -> list[Material]:
    """Lines of 3 to 7 words and single words, in the fonts that training leaves out.

    Raises
    ------
    FileNotFoundError
        If there are no fonts; ``--fetch-fonts`` gets some.
    """
    unseen = fonts.find(fonts_folder)[3::7]
    reader = Reader(temperature=1.0)
    known, unread = prose(files)
    result = []
    for name, count, length in (("lines", n_lines, (3, 7)), ("words", n_words, (1, 1))):
        source = synthesis.Synthesizer(unseen, [unread], reader.config.characters, words=length, seed=5)
        images, texts, number = [], [], 0
        while len(texts) < count:
            ink, text = source.sample(number)
            number += 1
            if f" {text} " in unread:  # not the numbers and capitals that training puts in
                images.append(255 - ink)
                texts.append(text)
        frames = [np.ascontiguousarray(f) for f in reader.log_probs(images)]
        result.append(Material(f"rendered {name}", _alphabet(reader), frames, texts, known, sum(length) // 2))
    return result


def real(folders: Sequence[str], files: Sequence[str], limit: int) -> list[Material]:
    """The test splits of handwriting that somebody has, in any layout that fastctc train reads."""
    from fastctc.htr import data
    from fastctc.imaging import images

    reader = Reader(temperature=1.0)
    known = prose(files)[0]
    result = []
    for folder in folders:
        items = data.split(data.read(folder)[0])["test"][:limit]
        frames = [np.ascontiguousarray(f) for f in reader.log_probs([images.read(item.image) for item in items])]
        result.append(Material(Path(folder).name, _alphabet(reader), frames, [item.text for item in items], known, 5))
    return result


def _alphabet(reader: Reader) -> Alphabet:
    characters = reader.alphabet.characters
    return Alphabet(characters, -1, [c for c in characters if c.isalpha()])
