"""The experiments: fast versions against their definitions, known findings, the report."""

import json
import sys

import numpy as np
import pytest
from conftest import FLOAT32_NOISE

pytest.importorskip("PIL")
pytest.importorskip("matplotlib")
from test_network import TINY, random_weights

from fastctc import log_probability
from fastctc.htr import experiments
from fastctc.htr import network as plain
from fastctc.htr.experiments import (
    hypothesis_editing,
    padding,
    pixel_relevance,
    pooling,
    report,
    trained_padding,
    translation_invariance,
)
from fastctc.htr.preparation import as_input
from fastctc.htr.reader import Reader
from fastctc.reference import experiments as definition

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiny():
    rng = np.random.default_rng(0)
    ink = np.zeros((16, 24), np.uint8)
    ink[3:12, 5:17] = rng.choice([0, 63, 127, 191, 255], (9, 12))
    return TINY, random_weights(TINY), ink


def score(config, weights, ink, text):
    rows = plain.network(config, weights, as_input([ink]))[0]
    return log_probability(rows.astype(np.float64), text=text, alphabet=config.alphabet)


@pytest.mark.parametrize("padding_mode", ["zero", "circular"])
@pytest.mark.parametrize("prior", ["histogram", "uniform", "paper"])
def test_relevance_equals_brute_force(tiny, padding_mode, prior):
    from dataclasses import replace

    config, weights, ink = tiny
    config = replace(config, padding=padding_mode)
    ink = ink[:, :16].copy()
    found = pixel_relevance.run(config, weights, ink, "ab", prior=prior)
    chances = pixel_relevance.grey_prior(ink, prior)
    expected = definition.relevance(
        lambda image: score(config, weights, image, "ab"), ink, pixel_relevance.GREYS, chances
    )
    np.testing.assert_allclose(found.relevance, expected, atol=2e-4)
    assert found.log_prob == pytest.approx(score(config, weights, ink, "ab"), abs=1e-5)


@pytest.mark.parametrize("patch", [3, 5, 40])
def test_occlusion_of_any_size(tiny, patch):
    """Each square covered with paper in turn, one image after the other."""
    config, weights, ink = tiny
    found = pixel_relevance.run(config, weights, ink, "ab", patch=patch, prior="paper").relevance
    base = pixel_relevance.log_odds(score(config, weights, ink, "ab"))
    for top in range(0, ink.shape[0], patch):
        for left in range(0, ink.shape[1], patch):
            covered = ink.copy()
            covered[top : top + patch, left : left + patch] = 0
            expected = base - pixel_relevance.log_odds(score(config, weights, covered, "ab"))
            np.testing.assert_allclose(found[top : top + patch, left : left + patch], expected, atol=2e-4)


def test_a_window_of_columns_is_exact(tiny):
    """Changes of a few columns, computed with what they cannot reach left as it was."""
    config, weights, _ = tiny
    rng = np.random.default_rng(1)
    ink = rng.integers(0, 255, (16, 120), dtype=np.uint8)
    scorer = pixel_relevance.Scorer(config, weights, ink, "abc")
    start, stop, *_ = scorer.window(50, 53)
    assert stop - start < 60
    for left, right in ((0, 2), (50, 53), (117, 120)):
        changed = ink.copy()
        changed[:, left:right] = rng.integers(0, 255, (16, right - left))
        found = scorer.log_probs(changed[None], left, right)[0]
        assert found == pytest.approx(score(config, weights, changed, "abc"), abs=FLOAT32_NOISE)


def test_log_odds_near_certainty():
    assert pixel_relevance.log_odds(np.log(0.5)) == pytest.approx(0)
    assert pixel_relevance.log_odds(np.log(0.8)) == pytest.approx(2)
    assert np.isfinite(pixel_relevance.log_odds(0.0))
    assert pixel_relevance.log_odds(-800.0) == pytest.approx(-800 / np.log(2))


def test_one_character_as_target(tiny):
    config, weights, ink = tiny
    found = pixel_relevance.run(config, weights, ink, "ab", patch=4, character=1)
    assert 0 < np.exp(found.log_prob) <= 1
    assert not np.array_equal(found.relevance, pixel_relevance.run(config, weights, ink, "ab", patch=4).relevance)


def test_edits(tiny):
    config, weights, ink = tiny
    edits = [("dot", hypothesis_editing.dot(3, 2)), ("cut", hypothesis_editing.cut(8, 10)),
             ("hole", hypothesis_editing.whiten(10, 6))]  # fmt: skip
    found = hypothesis_editing.run(config, weights, ink, "ab", edits)
    assert found.names == ["unchanged", "dot", "cut", "hole"]
    assert found.images[1][2, 3] == 255
    assert not found.images[2][:, 8:10].any()
    assert found.images[3][6, 10] == 0
    np.testing.assert_array_equal(found.images[0], ink)
    for image, log_prob in zip(found.images, found.log_probs, strict=True):
        assert log_prob == pytest.approx(score(config, weights, image, "ab"), abs=FLOAT32_NOISE)


def test_spectrum_finds_the_period():
    x = np.arange(32)
    shares = translation_invariance.spectrum(np.cos(2 * np.pi * x / 4) + 0.3 * x)
    assert shares[7] > 0.9
    assert shares.sum() == pytest.approx(1)
    assert translation_invariance.spectrum(np.zeros(8)).sum() == 0
    assert translation_invariance.autocorrelation(np.cos(2 * np.pi * x / 4) + 0.3 * x, 4) > 0.99
    assert translation_invariance.autocorrelation(np.zeros(8), 4) == 0


def test_a_stride_of_one_frame_repeats_the_score(tiny):
    """In the middle of wide paper, a shift by a whole frame changes nothing but where the text stands."""
    config, weights, ink = tiny
    scores = [score(config, weights, np.pad(ink, ((0, 0), (100 + s, 100 - s))), "a") for s in (0, config.stride)]
    assert scores[0] == pytest.approx(scores[1], abs=0.05)


def test_moved_text_is_scored_as_one_image_after_the_other(tiny):
    config, weights, ink = tiny
    found = translation_invariance.run(config, weights, [ink], ["ab"], shifts=6, steps=0)
    for shift in range(6):
        alone = np.pad(ink, ((0, 0), (shift, -(24 + 6) % config.stride + 6 - shift)))
        assert found.log_probs[0, shift] == pytest.approx(score(config, weights, alone, "ab"), abs=FLOAT32_NOISE)
    values = np.random.default_rng(3).normal(size=12)
    x = range(12)
    slope = np.polyfit(x, values, 1)
    rest = [v - slope[0] * t - slope[1] for t, v in zip(x, values, strict=True)]
    power = [abs(sum(r * np.exp(-2j * np.pi * k * t / 12) for t, r in enumerate(rest))) ** 2 for k in range(1, 7)]
    power[-1] /= 2
    np.testing.assert_allclose(translation_invariance.spectrum(values), np.array(power) / sum(power), rtol=1e-9)


def test_what_numpy_computes_is_shown_without_keras(tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    config, weights, ink = tiny
    found = translation_invariance.run(config, weights, [ink], ["ab"], shifts=8, steps=5)
    assert np.isfinite(found.log_probs).all()
    assert found.toys == []
    said = " ".join(translation_invariance.findings(found))
    assert 'were left out: the network needs Keras: pip install "fastctc[train]"' in said
    labels = [label.get_text() for label in translation_invariance.plot(found).axes[0].get_xticklabels()]
    assert labels == [f"{shift} {text}" for shift, text in enumerate(found.best_path[0])]


def shifts(**changes):
    from dataclasses import replace

    rows = np.tile([-1.0, -2, -3, -2], (1, 4))
    names = [name for name, _, _ in translation_invariance.TOYS]
    errors = np.zeros((3, 2, 16))
    errors[0, :, 1:] = 0.3
    found = translation_invariance.Shifts(
        ["a"], rows, [["a"] * 16], [["a"] * 16], 4, translation_invariance.spectrum(rows[0])[None],
        [16 / k for k in range(1, 9)], names, errors, np.array([[3.0, 3], [2, 2], [1, 1]]),
    )  # fmt: skip
    return replace(found, **changes)


def test_findings_follow_the_numbers():
    said = " ".join(translation_invariance.findings(shifts()))
    assert "has to be learned" in said
    assert "grid first of all" in said
    assert "with 2 of 2 seeds" in said
    slow = np.cos(2 * np.pi * np.arange(16) / 16)[None]
    other = shifts(toy_errors=np.zeros((3, 2, 16)), toy_swing=np.ones((3, 2)), log_probs=slow,
                   shares=translation_invariance.spectrum(slow[0])[None])  # fmt: skip
    said = " ".join(translation_invariance.findings(other))
    assert "do not show that it has to be learned" in said
    assert "less than something else" in said
    assert "with 0 of 2 seeds" in said

    maps, near = np.zeros((2, 64, 64)), np.full((2, 2), 1e-8)
    alike = pooling.Pooling(["no pooling", "1 × max"], [0, 1], maps, np.ones((2, 2)), near, near)
    assert "it is constant" in pooling.findings(alike)[0]
    uneven = pooling.Pooling(["no pooling", "1 × max"], [0, 1], maps, np.ones((2, 2)), near + 1, near + 1)
    assert "does not repeat exactly" in pooling.findings(uneven)[1]

    layers = ["relu1", "lstms1"]
    for lstm, says in ((0.9, "better than any convolution"), (0.0, "not better")):
        probe = np.stack([np.full((2, 2), 0.2), np.full((2, 2), lstm)], axis=2)
        errors = np.stack([np.zeros((2, 3)), np.full((2, 3), 0.4 * lstm)])
        found = trained_padding.TrainedPadding(
            ["zero", "circular"], [2, 8, 16], errors, np.zeros((2, 2)), np.zeros((2, 2, 2)), probe, layers
        )
        said = " ".join(trained_padding.findings(found))
        assert says in said
        assert ("do not show that padding matters" in said) == (lstm == 0)


def test_nothing_is_concluded_from_networks_that_have_not_learnt():
    unread = shifts(toy_errors=np.ones((3, 2, 16)))
    said = translation_invariance.findings(unread)
    assert said[-1].startswith("Not trained enough to tell: trained at one place, max pooling, trained at all")
    assert "learned" not in " ".join(said)
    assert "Not trained" not in " ".join(translation_invariance.findings(shifts()))

    maps, same = np.zeros((2, 64, 64)), np.full((2, 2), 1e-8)
    guessing = pooling.Pooling(["1 × max", "1 × blur"], [1, 1], maps, np.array([[0.5, 0.6], [1, 1]]), same, same)
    assert pooling.findings(guessing)[-1].startswith("Not trained enough to tell: 1 × max. ")

    probe = np.full((2, 2, 2), 0.2)
    errors = np.stack([np.zeros((2, 3)), np.ones((2, 3))])
    found = trained_padding.TrainedPadding(
        ["zero", "circular"], [2, 8, 16], errors, np.zeros((2, 2)), np.zeros((2, 2, 2)), probe, ["relu1", "lstms1"]
    )
    said = trained_padding.findings(found)
    assert said[-1].startswith("Not trained enough to tell: circular. ")
    assert "The LSTM tells" not in " ".join(said)


def test_padding_findings_follow_the_numbers():
    from dataclasses import replace

    found = padding.run(steps=300, seeds=2)
    assert "never with: circular, full. That is what" in padding.findings(found)[-1]
    blind = replace(found, accuracy=np.full_like(found.accuracy, 0.5), kernels=-found.kernels)
    said = padding.findings(blind)
    assert "always found with: none" in said[-1]
    assert "That is not what" in said[-1]
    assert "not as the article explains" in said[-2]


def test_position_probe_equals_its_definition():
    rng = np.random.default_rng(4)
    features = rng.normal(size=(10, 7, 5))
    features[:, :, 0] += np.linspace(-2, 2, 7)
    found = trained_padding.position_probe(features)
    assert 0.3 < found < 1
    assert found == pytest.approx(definition.position_probe(features), abs=1e-9)
    assert trained_padding.position_probe(rng.normal(size=(60, 7, 5))) < 0.2


def test_deviation_equals_its_definition():
    columns = np.zeros((8, 3), np.float32)
    columns[0, 1], columns[-1, 2], columns[-2, 0] = 1, 0.5, 1e-6
    assert trained_padding.deviation(columns) == definition.deviation(columns) == 0.25


@pytest.mark.parametrize(("pools", "kind"), [(0, "max"), (1, "max"), (2, "average"), (2, "blur")])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
def test_pooling_scores_equal_plain_numpy(pools, kind):
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(5)
    model = pooling.build(pools, kind)
    scores = pooling.score_map(model.predict_on_batch)
    y, x = np.mgrid[:64, :64]
    for v, u in ((0, 0), (31, 5), (40, 41), (63, 63)):
        image = ((abs(x - u) <= pooling.HALF) & (abs(y - v) <= pooling.HALF)).astype(float)
        expected = definition.pooling_score(model.get_weights(), image, pools, kind, pooling.GAIN)
        assert scores[v, u] == pytest.approx(expected, abs=1e-5)
    _, within = pooling.variation(scores, pools)
    assert within < pooling.EXACT


def test_coverage_says_what_can_be_learned():
    classes = {mode: len(np.unique(padding.coverage(mode), axis=0)) for mode in padding.MODES}
    assert classes == {"zero": 9, "valid": 25, "reflect": 25, "symmetric": 9, "circular": 1, "full": 1}
    rng = np.random.default_rng(2)
    for mode in padding.MODES:
        kernel, image = rng.normal(size=(3, 3)), np.zeros((8, 8))
        image[5, 0] = 1
        total = padding.convolution(image, kernel, mode).sum()
        assert total == pytest.approx(padding.coverage(mode)[5 * 8] @ kernel.ravel())


def test_only_padding_that_differs_gives_the_corner_away():
    found = padding.run(steps=300, seeds=2)
    accuracy = dict(zip(found.modes, found.accuracy.mean(1), strict=True))
    assert all(accuracy[mode] == 1 for mode in ("zero", "valid", "reflect", "symmetric"))
    assert all(accuracy[mode] == 0.5 for mode in ("circular", "full"))
    kernel = found.kernels[found.modes.index("zero")]
    assert kernel[:2, :2].sum() > 0 > kernel[:, 2].sum() + kernel[2, :2].sum()


def test_results_in_files(tmp_path):
    found = padding.run(steps=5, seeds=1)
    found.save(tmp_path, "p")
    loaded = padding.Padding.load(tmp_path, "p")
    assert loaded.modes == found.modes
    np.testing.assert_array_equal(loaded.losses, found.losses)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.json", "p.npz"]
    (tmp_path / "p.json").write_text(json.dumps({"modes": []}), encoding="utf-8")
    with pytest.raises(ValueError, match="another experiment"):
        padding.Padding.load(tmp_path, "p")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
def test_the_report(tmp_path):
    pytest.importorskip("keras")
    said = []
    page = report.run(experiments.NAMES, tmp_path, reader=Reader(), effort=report.QUICK, report=said.append)
    text = page.read_text(encoding="utf-8")
    for name in experiments.NAMES:
        assert f'<section id="{name}">' in text
        assert (tmp_path / f"{name}.png").stat().st_size > 1000
    assert text.count("data:image/png;base64,") == len(experiments.NAMES)
    assert text.count("<table>") == len(experiments.NAMES)
    assert "http" not in text.replace("data:", "")
    said.clear()
    report.run(("padding", "pixel_relevance"), tmp_path, reader=Reader(), effort=report.QUICK, report=said.append)
    assert said == ["padding: kept from before", "pixel_relevance: kept from before"]


def test_an_unknown_experiment():
    with pytest.raises(ValueError, match="must be one of"):
        experiments.load("alchemy")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
def test_gradients_are_slopes(tiny):
    pytest.importorskip("tensorflow")
    config, weights, ink = tiny
    slope, integrated = pixel_relevance.gradients(config, weights, ink, "ab", steps=64)
    ends = score(config, weights, ink, "ab") - score(config, weights, np.zeros_like(ink), "ab")
    assert integrated.sum() == pytest.approx(ends, abs=0.05)
    y, x = np.unravel_index(np.argmax(np.abs(slope)), slope.shape)
    around = []
    for step in (-2, 2):
        changed = ink.astype(np.float32)
        changed[y, x] += step
        around.append(score(config, weights, changed, "ab"))
    assert slope[y, x] == pytest.approx((around[1] - around[0]) / (4 / 255), rel=0.1)


def test_from_the_command_line(tmp_path):
    import subprocess
    import sys

    from fastctc.imaging import images

    picture = 255 - np.pad(np.asarray(report.example(Reader(), "on")), 4)
    images.save(tmp_path / "on.png", picture)

    def run(*arguments):
        command = [sys.executable, "-m", "fastctc", "experiment", *arguments, "--out", "out"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    own = ("--image", "on.png", "--text", "on")
    done = run("hypothesis_editing", "--quick", *own)
    assert done.returncode == 0, done.stderr
    assert "on" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert run("padding", "--image", "on.png").returncode == 2
    assert run("pixel_relevance", "--quick", *own, "--character", "2").returncode == 2
    done = run("hypothesis_editing", "--quick", "--image", "on.png", "--text", "中")
    assert done.returncode == 1
    assert "中" in done.stderr
