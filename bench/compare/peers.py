"""The other decoders: how each wants its input, its settings, and what it returns, as text.

A package that is not installed is left out, with a line that says so. Frames are log probabilities (T, C), float32, the
blank last.
"""

import importlib
import math
import os
from collections.abc import Callable, Sequence
from functools import cache
from itertools import groupby
from typing import Any

import numpy as np

from fastctc import Alphabet

Frames = Sequence[np.ndarray]
Decode = tuple[str, str, Callable[[], list[str]]]  # who, settings, all texts


@cache
def optional(name: str) -> Any:
    """The module, or None. Everybody gets one thread."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        print(f"left out: {name}: {error}", flush=True)
        return None
    if name == "tensorflow":
        module.config.threading.set_intra_op_parallelism_threads(1)
        module.config.threading.set_inter_op_parallelism_threads(1)
    elif name == "torch":
        module.set_num_threads(1)
    elif name == "cv2":
        module.setNumThreads(1)
    return module


def blank_first(frames: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.roll(np.exp(frames.astype(np.float32)), 1, axis=-1))


def collapsed(path: Sequence[int], alphabet: Alphabet) -> str:
    """The text of a path of classes: repeats merged, blanks dropped."""
    return alphabet.decode([label for label, _ in groupby(path) if label != alphabet.blank and label >= 0])


def best_path(frames: Frames, alphabet: Alphabet) -> list[Decode]:
    """Greedy decoders."""
    found: list[Decode] = []
    if fcd := optional("fast_ctc_decode"):
        symbols = ["", *alphabet.characters]
        probs = [blank_first(f) for f in frames]
        found.append(("fast_ctc_decode", "viterbi_search", lambda: [fcd.viterbi_search(p, symbols)[0] for p in probs]))
    if tf := optional("tensorflow"):
        inputs = [(tf.constant(f[:, None]), tf.constant([len(f)])) for f in frames]

        def greedy() -> list[str]:
            paths = [tf.nn.ctc_greedy_decoder(x, n)[0][0].values.numpy() for x, n in inputs]
            return [alphabet.decode(path.tolist()) for path in paths]

        found.append(("tensorflow", "tf.nn.ctc_greedy_decoder", greedy))
    return found


def beam_search(frames: Frames, alphabet: Alphabet, beam_width: int, patient: bool = True) -> list[Decode]:
    """Beam searches without a language model; ``patient``: also those that take seconds a line."""
    found: list[Decode] = []
    if fcd := optional("fast_ctc_decode"):
        symbols = ["", *alphabet.characters]
        probs = [blank_first(f) for f in frames]
        for cut, how in ((0.0, "pruning off (default)"), (1e-3, "beam_cut_threshold=1e-3")):
            found.append(("fast_ctc_decode", how,
                          lambda cut=cut: [fcd.beam_search(p, symbols, beam_size=beam_width, beam_cut_threshold=cut)[0]
                                           for p in probs]))  # fmt: skip
    if tf := optional("tensorflow"):
        inputs = [(tf.constant(f[:, None]), tf.constant([len(f)])) for f in frames]

        def search() -> list[str]:
            paths = [tf.nn.ctc_beam_search_decoder(x, n, beam_width, 1)[0][0].values.numpy() for x, n in inputs]
            return [alphabet.decode(path.tolist()) for path in paths]

        found.append(("tensorflow", "tf.nn.ctc_beam_search_decoder", search))
    if (keras := optional("keras")) and optional("tensorflow"):
        import tensorflow as tf

        batches = [(tf.constant(f[None]), tf.constant([len(f)])) for f in frames]

        def decode() -> list[str]:
            texts = []
            for x, n in batches:
                paths, _ = keras.ops.ctc_decode(
                    x, n, strategy="beam_search", beam_width=beam_width, top_paths=1, mask_index=alphabet.blank
                )
                texts.append(alphabet.decode([int(k) for k in np.asarray(paths)[0, 0] if k >= 0]))
            return texts

        found.append(("keras", "ops.ctc_decode", decode))
    if module := optional("pyctcdecode"):
        build = module.build_ctcdecoder([*alphabet.characters, ""])
        for how, options in (
            ("pruning as by default", {}),
            ("pruning off", {"beam_prune_logp": -math.inf, "token_min_logp": -math.inf}),
        )[: 1 + patient]:
            found.append(("pyctcdecode", how,
                          lambda o=options: [build.decode(f, beam_width=beam_width, **o) for f in frames]))  # fmt: skip
    if lib := optional("flashlight.lib.text.decoder"):
        for tokens, how in ((alphabet.n_classes, "pruning off, log_add"), (10, "10 tokens a frame, log_add")):
            options = lib.LexiconFreeDecoderOptions(beam_width, tokens, 1e9, 0.0, 0.0, True, lib.CriterionType.CTC)
            found.append(("flashlight", how, _flashlight(
                lib.LexiconFreeDecoder(options, lib.ZeroLM(), -1, alphabet.blank, []), frames, alphabet)))  # fmt: skip
    return found


def with_words(
    frames: Frames, alphabet: Alphabet, words: Sequence[str], arpa: str, weight: float, bonus: float, beam_width: int
) -> list[Decode]:
    """Decoders that know the words, and an n-gram model of them.

    In flashlight's lexicon every word ends with a space, or words could follow each other without one; the frames get
    one more for it, which is sure to be a space.
    """
    found: list[Decode] = []
    if (module := optional("pyctcdecode")) and optional("kenlm"):
        decoder = module.build_ctcdecoder([*alphabet.characters, ""], arpa, list(words), alpha=weight, beta=bonus)
        found.append(("pyctcdecode", f"kenlm, pruning as by default, {beam_width}",
                      lambda: [decoder.decode(f, beam_width=beam_width) for f in frames]))  # fmt: skip
    lib, tables = optional("flashlight.lib.text.decoder"), optional("flashlight.lib.text.dictionary")
    if lib and tables:
        table = tables.create_word_dict({word: [[*word, " "]] for word in [*words, "<unk>"]})
        model = lib.KenLM(arpa, table)
        space = alphabet.encode(" ")[0]
        trie, start = lib.Trie(alphabet.n_classes, space), model.start(False)
        for word in words:
            number = table.get_index(word)
            trie.insert([*alphabet.encode(word), space], number, model.score(start, number)[1])
        trie.smear(lib.SmearingMode.MAX)
        options = lib.LexiconDecoderOptions(
            beam_width, alphabet.n_classes, 1e9, weight * math.log(10), bonus, -math.inf, 0.0, True,
            lib.CriterionType.CTC,
        )  # fmt: skip
        unknown = table.get_index("<unk>")
        ending = np.full((1, alphabet.n_classes), -1e4, np.float32)
        ending[0, space] = 0
        ended = [np.vstack([f, ending]) for f in frames]
        found.append(("flashlight", f"KenLM, lexicon, pruning off, {beam_width}", _flashlight(
            lib.LexiconDecoder(options, trie, model, space, alphabet.blank, unknown, [], False),
            ended, alphabet)))  # fmt: skip
    return found


def _flashlight(decoder: Any, frames: Frames, alphabet: Alphabet) -> Callable[[], list[str]]:
    emissions = [np.ascontiguousarray(f, np.float32) for f in frames]

    def decode() -> list[str]:
        texts = []
        for f in emissions:
            best = decoder.decode(f.ctypes.data, *f.shape)
            texts.append(collapsed(best[0].tokens, alphabet).strip() if best else "")
        return texts

    return decode
