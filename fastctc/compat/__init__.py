"""The interfaces of other packages, so that programs written for them run on this one with another import.

``python -m fastctc.compat NAME -- script.py`` runs a program unchanged. :func:`install` does the same from inside a
program that is running.

>>> from fastctc import compat
>>> compat.install("ctc_decoder")
>>> import ctc_decoder
>>> ctc_decoder.__name__
'fastctc.compat.ctc_decoder'

To add a drop-in, add a row to ``ALIASES``: the name that a user says, and what it stands for. A key is the name of a
foreign module; its value names ours, below ``fastctc.compat``. A package of ours answers with all its submodules.
``"torchaudio.models.decoder": "torchaudio_decoder"`` answers one module of a package and leaves the rest of it alone;
where that package is not installed, empty packages lead to the module. ``"keras.ops:ctc_decode":
"keras.ctc_decode"`` puts one name of ours into a module that is otherwise left as it is.
"""

from fastctc.compat.aliases import AliasFinder

ALIASES: dict[str, dict[str, str]] = {
    "ctc_decoder": {"ctc_decoder": "ctc_decoder"},
    "ctc_forced_aligner": {  # the rest of the package prepares audio and texts
        "ctc_forced_aligner.alignment_utils:forced_align": "ctc_forced_aligner.forced_align",
        "ctc_forced_aligner.alignment_utils:get_alignments": "ctc_forced_aligner.get_alignments",
        "ctc_forced_aligner.alignment_utils:get_spans": "ctc_forced_aligner.get_spans",
        "ctc_forced_aligner.alignment_utils:merge_repeats": "ctc_forced_aligner.merge_repeats",
        "ctc_forced_aligner.text_utils:merge_segments": "ctc_forced_aligner.merge_segments",
        "ctc_forced_aligner.text_utils:postprocess_results": "ctc_forced_aligner.postprocess_results",
    },
    "ctc_segmentation": {"ctc_segmentation": "ctc_segmentation"},
    "ctcdecode": {"ctcdecode": "ctcdecode"},
    "fast_ctc_decode": {"fast_ctc_decode": "fast_ctc_decode"},
    "flashlight": {"flashlight.lib.text": "flashlight"},
    "kenlm": {"kenlm": "kenlm"},
    "keras": {  # on each of its backends
        "keras.src.backend.jax.nn:ctc_decode": "keras_on_jax.ctc_decode",
        "keras.src.backend.jax.nn:ctc_loss": "keras_on_jax.ctc_loss",
        "keras.src.backend.tensorflow.nn:ctc_decode": "keras.ctc_decode",
        "keras.src.backend.tensorflow.nn:ctc_loss": "keras.ctc_loss",
        "keras.src.backend.torch.nn:ctc_decode": "keras_on_torch.ctc_decode",
        "keras.src.backend.torch.nn:ctc_loss": "keras_on_torch.ctc_loss",
    },
    "pyctcdecode": {"pyctcdecode": "pyctcdecode", "kenlm": "kenlm"},
    "tensorflow": {  # wherever TensorFlow, and Keras on it, keep a function
        "tensorflow._api.v2.nn:ctc_greedy_decoder": "tensorflow.ctc_greedy_decoder",
        "tensorflow._api.v2.nn:ctc_beam_search_decoder": "tensorflow.ctc_beam_search_decoder",
        "tensorflow._api.v2.nn:ctc_loss": "tensorflow.ctc_loss",
        "tensorflow._api.v2.compat.v2.nn:ctc_greedy_decoder": "tensorflow.ctc_greedy_decoder",
        "tensorflow._api.v2.compat.v2.nn:ctc_beam_search_decoder": "tensorflow.ctc_beam_search_decoder",
        "tensorflow._api.v2.compat.v2.nn:ctc_loss": "tensorflow.ctc_loss",
        "tensorflow._api.v2.compat.v1.nn:ctc_greedy_decoder": "tensorflow.ctc_greedy_decoder",
        "tensorflow._api.v2.compat.v1.nn:ctc_beam_search_decoder": "tensorflow.ctc_beam_search_decoder_v1",
        "tensorflow._api.v2.compat.v1.nn:ctc_beam_search_decoder_v2": "tensorflow.ctc_beam_search_decoder",
        "tensorflow._api.v2.compat.v1.nn:ctc_loss": "tensorflow.ctc_loss_v1",
        "tensorflow._api.v2.compat.v1.nn:ctc_loss_v2": "tensorflow.ctc_loss",
        "tensorflow.python.ops.ctc_ops:ctc_greedy_decoder": "tensorflow.ctc_greedy_decoder",
        "tensorflow.python.ops.ctc_ops:ctc_beam_search_decoder": "tensorflow.ctc_beam_search_decoder_v1",
        "tensorflow.python.ops.ctc_ops:ctc_beam_search_decoder_v2": "tensorflow.ctc_beam_search_decoder",
        "tensorflow.python.ops.ctc_ops:ctc_loss": "tensorflow.ctc_loss_v1",
        "tensorflow.python.ops.ctc_ops:ctc_loss_v2": "tensorflow.ctc_loss",
        "tensorflow.python.ops.ctc_ops:ctc_loss_v3": "tensorflow.ctc_loss",
        "keras.src.backend.tensorflow.nn:ctc_decode": "keras.ctc_decode",
        "keras.src.backend.tensorflow.nn:ctc_loss": "keras.ctc_loss",
        "keras.src.legacy.backend:ctc_decode": "keras.legacy_ctc_decode",
        "keras.src.legacy.backend:ctc_batch_cost": "keras.ctc_batch_cost",
        "keras._tf_keras.keras.backend:ctc_decode": "keras.legacy_ctc_decode",
        "keras._tf_keras.keras.backend:ctc_batch_cost": "keras.ctc_batch_cost",
    },
    "torchaudio": {
        "torchaudio.models.decoder": "torchaudio.decoder",
        "torchaudio.functional:TokenSpan": "torchaudio.alignment.TokenSpan",
        "torchaudio.functional:forced_align": "torchaudio.alignment.forced_align",
        "torchaudio.functional:merge_tokens": "torchaudio.alignment.merge_tokens",
        "torchaudio.pipelines._wav2vec2.aligner:Aligner": "torchaudio.alignment.Aligner",
    },
    "word_beam_search": {"word_beam_search": "word_beam_search"},
}


def install(*names: str) -> None:
    """Let this process's imports of other packages be answered by fastctc.

    Nothing is imported now: a module is when the program asks for it, and once for all of its names, so that classes
    are the same objects however they were imported. Call it before the program imports the package: what is already
    bound to a name stays bound to it.

    Parameters
    ----------
    *names : str
        Keys of ``ALIASES``.

    Raises
    ------
    ValueError
        For a name that no drop-in has.
    """
    for name in names:
        if name not in ALIASES:
            raise ValueError(f"a drop-in must be one of {', '.join(ALIASES)}, got {name!r}")
    for name in names:
        AliasFinder.answer(ALIASES[name])
