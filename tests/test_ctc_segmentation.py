"""The drop-in for ctc_segmentation: against the reference, and against the original where it is installed."""

import numpy as np
import pytest

from fastctc import backends, compat
from fastctc.compat import ctc_segmentation as ours

CHARACTERS = ["_", "a", "b", "c", "ab", "bca"]


def frames(rng, n_frames, n_classes, dtype=np.float32):
    scores = rng.normal(0, 3, (n_frames, n_classes))
    return (scores - np.log(np.exp(scores).sum(1, keepdims=True))).astype(dtype)


def search(backend, *arguments):
    try:
        return tuple(map(list, backends.load(backend, "utterance_path").best_utterance_path(*arguments)))
    except IndexError:
        return IndexError


@pytest.mark.parametrize("seed", range(5))
def test_the_twins_agree(seed):
    """With windows that are too narrow too, characters of several places, and ties."""
    rng = np.random.default_rng(seed)
    lost = 0
    for _ in range(60):
        n_frames, n_classes, longest = (int(rng.integers(1, n)) for n in (60, 6, 4))
        n = int(rng.integers(1, max(2, min(40, n_frames + 3))))
        scores = frames(rng, n_frames, n_classes, rng.choice([np.float32, np.float64]))
        scores = np.round(scores) if rng.random() < 0.3 else scores
        text = np.where(rng.random((n, longest)) < 0.4, -1, rng.integers(0, n_classes, (n, longest)))
        text[0] = -1
        for s in range(longest):
            text[:s, s] = -1
        window = n_frames if rng.random() < 0.5 else int(rng.integers(1, n_frames + 5))
        arguments = (scores, text.tolist(), int(rng.integers(n_classes)), window, int(rng.integers(4)), seed == 4)
        found = search("compiled", *arguments)
        assert found == search("reference", *arguments)
        lost += found is IndexError
    assert lost < 40


def test_blocks_of_columns_change_nothing():
    """A text of more columns than a block has."""
    rng = np.random.default_rng(1)
    scores = frames(rng, 700, 5)
    text = [[-1], *([int(label)] for label in rng.integers(1, 5, 300))]
    for window in (700, 500):
        found = search("compiled", scores, text, 0, window, 2, False)
        assert found is not IndexError
        assert found == search("reference", scores, text, 0, window, 2, False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blank": 5}, "blank must be a class, 0 to 4, got 5"),
        ({"text": [[-1], [5]]}, "classes must be -1 to 4, got 5"),
        ({"text": [[-1], [1, 2]]}, "each position of the text must have as many classes"),
        ({"text": []}, "there must be a frame, a position of the text and a window, got 6, 0, 6"),
        ({"window": 0}, "got 6, 2, 0"),
    ],
)
def test_bad_arguments(change, message):
    given = {"scores": np.zeros((6, 5)), "text": [[-1], [1]], "blank": 0, "window": 6} | change
    with pytest.raises(ValueError, match=message):
        backends.load("compiled", "utterance_path").best_utterance_path(*given.values(), 2, False)


def test_parameters():
    config = ours.CtcSegmentationParameters()
    assert (config.index_duration_in_seconds, config.flags, config.blank) == (0.025, 2, 0)
    config.set(frame_duration_ms=10, subsampling_factor=4, nothing=1, blank=None, blank_transition_cost_zero=True)
    assert (config.index_duration_in_seconds, config.flags, config.blank) == (0.04, 3, 0)
    assert not hasattr(config, "nothing")
    config = ours.CtcSegmentationParameters(char_list=["a", "»"])
    config.update_excluded_characters()
    assert "»" not in config.excluded_characters
    assert repr(config).startswith("CtcSegmentationParameters( char_list=['a', '»'], excluded_characters=")


def test_preparation():
    characters = ["•", "a", "c", "d", "g", "o", "s", "t"]
    config = ours.CtcSegmentationParameters()
    matrix, begins = ours.prepare_text(config, ["catzz#\n", "dogs!!\n"], characters)
    assert begins == [1, 5, 10]
    assert matrix[:, 0].tolist() == [-1, 0, 2, 1, 7, 0, 3, 5, 4, 6, 0]
    matrix, _ = ours.prepare_text(config, ["cat"], ["•", "UNK", "a", "c", "t", "cat"])
    assert matrix.shape == (6, 3)
    assert matrix[4].tolist() == [4, -1, 5]
    pieces = ["•", "a", "c", "d", "▁g", "▁o", "▁s", "t"]
    config = ours.CtcSegmentationParameters(char_list=pieces)
    matrix, begins = ours.prepare_tokenized_text(config, ["c a t", "d ▁o ▁g ▁s"])
    assert (matrix[:, 0].tolist(), begins) == ([-1, 0, 2, 1, 7, 0, 3, 5, 4, 6, 0], [1, 5, 10])
    matrix, begins = ours.prepare_token_list(config, [np.array([2, 1, 7]), np.array([3, 5, 4, 6])])
    assert (matrix[:, 0].tolist(), begins) == ([-1, 0, 2, 1, 7, 0, 3, 5, 4, 6, 0], [1, 5, 10])


def test_segments():
    config = ours.CtcSegmentationParameters(index_duration=1.0, score_min_mean_over_L=2)
    times = np.arange(10) + 0.5
    found = ours.determine_utterance_segments(config, [1, 4, 9], np.full(10, -0.5), times, ["cat", "dogs"])
    assert found == [(2.0, 4.0, -0.5), (5.0, 9.0, -0.5)]
    nowhere = ours.determine_utterance_segments(config, [1, 2], np.full(10, -0.5), np.full(10, 3.0), ["cat"])
    assert nowhere[0][2] == -1e10


def test_what_is_said_is_found_where_it_is_said():
    shown = "__a_b__cc_a____b_a__c_"
    scores = np.full((len(shown), 4), np.log(0.05))
    scores[np.arange(len(shown)), ["_abc".index(c) for c in shown]] = np.log(0.85)
    config = ours.CtcSegmentationParameters(char_list=list("_abc"), index_duration=1.0)
    matrix, begins = ours.prepare_text(config, ["abca", "bac"])
    times, probs, states = ours.ctc_segmentation(config, scores, matrix)
    assert times[2:6].tolist() == [2.0, 4.0, 7.0, 10.0]
    assert times[7:10].tolist() == [15.0, 17.0, 20.0]
    assert "".join(state for state in states if state not in ("", "_", "ε")) == "abcabac"
    segments = ours.determine_utterance_segments(config, begins, probs, times, ["abca", "bac"])
    assert [segment[2] for segment in segments] == pytest.approx([np.log(0.85)] * 2)
    with pytest.raises(AssertionError, match="Audio is shorter than text"):
        ours.ctc_segmentation(config, scores[:5], matrix)


def test_a_window_grows_until_it_holds_the_way_back(monkeypatch):
    asked = []

    def search(scores, text, _blank, window, _flags, _at_end):
        asked.append(window)
        if window < limit:
            raise IndexError("the way back leaves the window")
        return [0] * len(text), [0.0] * len(scores), [-1] * len(scores)

    monkeypatch.setattr(ours, "best_utterance_path", search)
    config = ours.CtcSegmentationParameters(char_list=list("_abc"), min_window_size=10, max_window_size=100)
    matrix, _ = ours.prepare_text(config, ["ab"])
    limit = 40
    assert ours.ctc_segmentation(config, np.zeros((200, 4)), matrix)[2] == ["ε"] * 200
    assert asked == [10, 20, 40]
    limit = 90
    with pytest.raises(IndexError):
        ours.ctc_segmentation(config, np.zeros((200, 4)), matrix)
    assert asked[3:] == [10, 20, 40, 80]


def test_partitions():
    found = ours.get_partitions(10**8, overlap=1)
    assert found["partitions"][0] == (0, 16384000 + 2 * 512 - 1)
    assert found["partitions"][-1][1] is None
    assert found["delete_overlap_list"][:2] == [32000, 32001]
    with pytest.raises(ValueError, match="max_len_s must be longer for an overlap of 9 frames"):
        ours.get_partitions(max_len_s=0.3, overlap=9)


def test_the_name_is_answered():
    assert compat.ALIASES["ctc_segmentation"] == {"ctc_segmentation": "ctc_segmentation"}


def test_the_original_finds_the_same():
    theirs = pytest.importorskip("ctc_segmentation")
    if theirs is ours:
        pytest.skip("the original is answered by the drop-in in this process")
    rng = np.random.default_rng(2)
    for number in range(100):
        config = {"score_min_mean_over_L": 5, "blank_transition_cost_zero": number % 3 == 0}
        config |= {"min_window_size": 20, "max_window_size": 100} if number % 2 else {}
        scores = frames(rng, int(rng.integers(10, 120)), len(CHARACTERS))
        text = ["".join(rng.choice(list("abc "), int(rng.integers(1, 10)))) for _ in range(3)]
        found = []
        for package in (theirs, ours):
            parameters = package.CtcSegmentationParameters(char_list=CHARACTERS, **config)
            matrix, begins = package.prepare_text(parameters, text)
            try:
                times, probs, states = package.ctc_segmentation(parameters, scores, matrix)
            except (AssertionError, IndexError) as error:
                found.append(type(error))
                continue
            segments = package.determine_utterance_segments(parameters, begins, probs, times, text)
            found.append((times.tolist(), probs.tolist(), states, np.round(segments, 9).tolist()))
        assert found[0] == found[1]
