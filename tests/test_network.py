"""The handwriting network: NumPy against Keras, the loss, files of weights, training that goes on."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from conftest import FLOAT32_NOISE

from fastctc import ctc_loss, storage
from fastctc.htr import network as plain
from fastctc.htr.checkpoint import load_network, save_network, shapes
from fastctc.htr.config import PADDINGS, POOLINGS, Config
from fastctc.htr.samples import HEIGHT, Samples

pytestmark = pytest.mark.slow

TINY = Config(
    characters="ab c",
    height=16,
    kernels=((3, 3), (3, 5), (1, 3)),
    channels=(3, 4, 5),
    pools=((2, 2), (2, 1), (3, 2)),
    units=(4, 3),
)


def random_weights(config, seed=0):
    rng = np.random.default_rng(seed)
    weights = {name: rng.normal(0, 0.4, shape).astype(np.float32) for name, shape in shapes(config).items()}
    return {name: np.abs(w) + 0.1 if name.endswith("variance") else w for name, w in weights.items()}


@pytest.mark.parametrize("padding", PADDINGS)
def test_images_of_many_widths_are_computed_as_each_alone(padding):
    config = replace(TINY, padding=padding)
    rng, weights = np.random.default_rng(4), random_weights(config)
    images = [rng.random((16, width, 1), np.float32) for width in (37, 8, 120, 37, 9)]
    together = plain.networks(config, weights, images)
    for image, found in zip(images, together, strict=True):
        [alone] = plain.network(config, weights, image[None])
        np.testing.assert_allclose(found, alone, atol=FLOAT32_NOISE)
        assert found.shape == (image.shape[1] // 4, 5)
    for found, alone in zip(plain.network(config, weights, np.stack(images[::3])), together[::3], strict=True):
        np.testing.assert_allclose(found, alone, atol=FLOAT32_NOISE)


def test_the_recurrent_layers_are_those_of_the_papers():
    """Step by step and gate by gate, each way alone."""
    rng = np.random.default_rng(5)
    units, lengths = 3, [6, 4, 4, 1]
    x = rng.normal(size=(sum(lengths), 2)).astype(np.float32)
    forward, backward = (
        [rng.normal(size=shape).astype(np.float32) for shape in ((2, 12), (3, 12), (12,))] for _ in range(2)
    )

    def way(rows, kernel, recurrent, bias):
        hidden = cell = np.zeros(units)
        for row in rows.astype(float):
            i, f, c, o = np.split(row @ kernel + hidden @ recurrent + bias, 4)
            i, f, o = (1 / (1 + np.exp(-z)) for z in (i, f, o))
            cell = f * cell + i * np.tanh(c)
            hidden = o * np.tanh(cell)
            yield hidden

    expected = []
    for part in np.split(x, np.cumsum(lengths)[:-1]):
        there, back = list(way(part, *forward)), list(way(part[::-1], *backward))[::-1]
        expected += [np.concatenate(one) for one in zip(there, back, strict=True)]
    found = plain.lstms(x, plain.steps_of(lengths), forward, backward)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.fixture(scope="module")
def keras_model():
    """The module of the Keras network; its first import takes seconds."""
    pytest.importorskip("keras")
    from fastctc.htr import model

    return model


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
class TestKeras:
    @pytest.mark.parametrize("padding", PADDINGS)
    @pytest.mark.parametrize("pooling", POOLINGS)
    def test_every_layer_equals_plain_numpy(self, keras_model, padding, pooling):
        config = replace(TINY, padding=padding, pooling=pooling)
        model = keras_model.build_model(config)
        weights = random_weights(config)
        keras_model.set_weights(model, weights)
        images = np.random.default_rng(1).random((2, 16, 37, 1), np.float32)
        trace = {}
        plain.network(config, weights, images, trace)
        k = keras_model.keras()
        names = [name for name in trace if name != "classes"]
        outputs = k.Model(model.input, [model.get_layer(name).output for name in names])(images)
        for name, output in zip(names, outputs, strict=True):
            np.testing.assert_allclose(np.asarray(output), trace[name], atol=FLOAT32_NOISE, err_msg=name)

    def test_the_classic_network(self, keras_model):
        config = Config.simple()
        model = keras_model.build_model(config)
        assert model.output_shape == (None, 32, len(config.characters) + 1)
        images = np.random.default_rng(2).random((2, 32, 128, 1), np.float32)
        weights = keras_model.weights(model)
        assert {name: w.shape for name, w in weights.items()} == shapes(config)
        np.testing.assert_allclose(
            plain.network(config, weights, images), model.predict_on_batch(images), atol=FLOAT32_NOISE
        )

    def test_the_loss_is_ours(self, keras_model):
        rng = np.random.default_rng(3)
        frames = rng.normal(0, 2, (3, 9, 5)).astype(np.float32)
        frames -= np.log(np.exp(frames).sum(2, keepdims=True))
        labels, lengths = [(0, 1, 1), (), (3, 2, 0, 3)], [9, 5, 8]
        found = float(keras_model.ctc_loss(keras_model.targets(labels, lengths), frames))
        expected = ctc_loss(frames, [TINY.alphabet.decode(label) for label in labels], TINY.alphabet, lengths)
        assert found == pytest.approx(np.mean(expected), rel=FLOAT32_NOISE)

    def test_weights_of_another_network_are_refused(self, keras_model):
        model = keras_model.build_model(TINY)
        with pytest.raises(ValueError, match=r"another network.*classes"):
            keras_model.set_weights(model, random_weights(replace(TINY, characters="ab")))

    @pytest.mark.usefixtures("keras_model")
    def test_patience_and_images_are_part_of_the_state(self, tmp_path, monkeypatch):
        from fastctc.htr.train import Score, Settings, Source, train

        monkeypatch.setattr("fastctc.htr.train.evaluate", lambda *_: Score(0.5, 0.5))  # the first is the best
        pictures = [(np.full((HEIGHT, 40), shade, np.uint8), "ab", "x") for shade in range(0, 200, 20)]
        samples = Samples.collect(pictures)
        settings = Settings(steps=9, columns=200, validate_every=1, short=0, patience=3)

        class Killed(Exception):
            pass

        def killer(line):
            if line.startswith("step 3:"):
                raise Killed

        with pytest.raises(Killed):
            train(TINY, settings, [Source(samples, 1.0)], samples, tmp_path, report=killer)
        more = Samples.collect([*pictures, pictures[0]])
        for sources, validation in (([Source(more, 1.0)], samples), ([Source(samples, 1.0)], more)):
            with pytest.raises(ValueError, match="other images or texts"):
                train(TINY, settings, sources, validation, tmp_path, report=lambda _: None)
        for _ in range(2):  # the second time there is nothing left to do
            said = []
            train(TINY, settings, [Source(samples, 1.0)], samples, tmp_path, report=said.append)
            assert said[-1] == "no better since 3 validations: stopped"
            with (tmp_path / "curves.csv").open(encoding="utf-8", newline="") as file:
                assert [row[0] for row in csv.reader(file)] == ["step", "1", "2", "3", "4"]
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "best.fastctc", "curves.csv", "curves.png", "last.fastctc", "state.fastctc",
        ]  # fmt: skip

    @pytest.mark.parametrize("average", [0.0, 0.5])
    @pytest.mark.usefixtures("keras_model")
    def test_training_goes_on_where_it_was_stopped(self, average, tmp_path):
        from fastctc.htr.train import Settings, Source, train

        rng = np.random.default_rng(4)
        pictures = []
        for _ in range(40):
            text = "".join(rng.choice(list("abc"), 2))
            ink = np.zeros((HEIGHT, 60), np.uint8)
            for place, character in enumerate(text):
                ink[10 + 15 * "abc".index(character) :][:12, 8 + 24 * place :][:, :14] = 255
            pictures.append((ink, text, "x"))
        samples = Samples.collect(pictures)
        settings = Settings(steps=8, columns=400, validate_every=2, short=0, warm_up=2, average=average)
        sources = [Source(samples, 1.0)]

        class Killed(Exception):
            pass

        def killer(line):
            if line.startswith("step 6:"):
                raise Killed

        train(TINY, settings, sources, samples, tmp_path / "whole", report=lambda _: None)
        with pytest.raises(Killed):
            train(TINY, settings, sources, samples, tmp_path / "parts", report=killer)
        said = []
        train(TINY, settings, sources, samples, tmp_path / "parts", report=said.append)
        assert said[0] == "going on after step 4 of 8"
        curves = [list(csv.reader((tmp_path / run / "curves.csv").open())) for run in ("whole", "parts")]
        steps = [[(row[0], row[2], row[3]) for row in rows] for rows in curves]
        assert [row[0] for row in steps[1]] == ["step", "2", "4", "6", "8"]
        for one, other in zip(steps[0][1:], steps[1][1:], strict=True):
            assert one == other
        one, other = (load_network(tmp_path / run / "last.fastctc")[1] for run in ("whole", "parts"))
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)
        assert (tmp_path / "whole" / "curves.png").stat().st_size > 1000
        longer = replace(settings, steps=9)
        with pytest.raises(ValueError, match="other steps"):
            train(TINY, longer, sources, samples, tmp_path / "whole", report=said.append)

    @pytest.mark.usefixtures("keras_model")
    def test_ctrl_c_saves_the_state(self, monkeypatch, tmp_path):
        import signal

        from fastctc.htr import train as training
        from fastctc.htr.train import Settings, Source, train

        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            picture = np.zeros((HEIGHT, 60), np.uint8)
            picture[10:30, 8:30] = 255
            samples = Samples.collect([(picture, "ab", "x")] * 4)
            settings = Settings(steps=6, columns=400, validate_every=6, short=0, warm_up=2)
            sources, weights, said = [Source(samples, 1.0)], random_weights(TINY), []
            rate = training.learning_rate

            def interrupted(settings, step):
                if step == 3:
                    signal.raise_signal(signal.SIGINT)
                return rate(settings, step)

            train(TINY, settings, sources, samples, tmp_path / "whole", weights, report=lambda _: None)
            monkeypatch.setattr(training, "learning_rate", interrupted)
            with pytest.raises(KeyboardInterrupt):
                train(TINY, settings, sources, samples, tmp_path / "parts", weights, report=said.append)
            assert said[0].startswith("before the first step, CER ")
            assert said[-1] == "stopped after step 4"
            assert (tmp_path / "parts" / "best.fastctc").is_file()  # those that it began with
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
            train(TINY, settings, sources, samples, tmp_path / "parts", weights, report=said.append)
            assert "going on after step 4 of 6" in said
            one, other = (load_network(tmp_path / run / "last.fastctc")[1] for run in ("whole", "parts"))
            for name in one:
                np.testing.assert_array_equal(one[name], other[name], err_msg=name)
        finally:
            signal.signal(signal.SIGINT, before)


def test_log_probs_are_distributions():
    images = np.random.default_rng(5).random((3, 16, 24, 1), np.float32)
    log_probs = plain.network(TINY, random_weights(TINY), images)
    assert log_probs.shape == (3, 6, 5)
    np.testing.assert_allclose(np.exp(log_probs).sum(2), 1, atol=1e-5)


def test_config_as_text():
    for config in (Config(), Config.simple("abc"), TINY):
        assert Config.from_json(config.to_json()) == config
    with pytest.raises(ValueError, match="no field depth"):
        Config.from_json('{"depth": 3}')


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": (1, 2)}, "one entry for each convolution"),
        ({"units": ()}, "at least one LSTM"),
        ({"height": 3}, "height must be at least 40"),
        ({"width": 30}, "multiple of 4"),
        ({"kernels": ((2, 3),) * 5}, "odd"),
        ({"padding": "wrap"}, "padding must be"),
        ({"pooling": "sum"}, "pooling must be"),
        ({"dropout": 1.0}, "dropout"),
        ({"units": (0, 3)}, "at least 1"),
    ],
    ids=range(9),
)
def test_bad_configs(options, message):
    with pytest.raises(ValueError, match=message):
        Config(**options)


def test_networks_in_files(tmp_path):
    weights = random_weights(TINY)
    save_network(tmp_path / "net", TINY, weights, {"cer": 0.1})
    config, loaded, card = load_network(tmp_path / "net")
    assert config == TINY
    assert card == {"cer": 0.1}
    for name, weight in weights.items():
        np.testing.assert_array_equal(loaded[name], weight)
    save_network(tmp_path / "half", TINY, weights, dtype="f2")
    assert (tmp_path / "half").stat().st_size < (tmp_path / "net").stat().st_size
    assert sorted(path.name for path in tmp_path.iterdir()) == ["half", "net"]


def test_damaged_networks(tmp_path):
    path = tmp_path / "net"
    save_network(path, TINY, random_weights(TINY))
    whole = path.read_bytes()
    for damaged in (b"", b"PK\x03\x04", whole[: len(whole) // 2], whole.replace(b"units", b"sinus")):
        path.write_bytes(damaged)
        with pytest.raises((storage.StorageError, ValueError)):
            load_network(path)
    bad = random_weights(TINY)
    bad["classes/bias"][0] = np.nan
    save_network(path, TINY, bad)
    with pytest.raises(storage.StorageError, match="not finite"):
        load_network(path)


def test_other_samples_have_another_digest():
    ink, other = np.zeros((HEIGHT, 6), np.uint8), np.ones((HEIGHT, 6), np.uint8)
    sets = [[(ink, "a", "x")], [(other, "a", "x")], [(ink, "b", "x")], [(ink, "a", "y")], [(ink, "a", "x")] * 2, []]
    assert len({Samples.collect(one).digest() for one in sets}) == len(sets)
    assert Samples.collect(sets[0]).digest() == Samples.collect(sets[0]).digest()


def test_samples_in_files(tmp_path):
    rng = np.random.default_rng(6)
    some = [(rng.integers(0, 255, (HEIGHT, n), dtype=np.uint8), f"tèxt {n}", "w") for n in (3, 1, 70)]
    Samples.collect(some).save(tmp_path / "s")
    loaded = Samples.load(tmp_path / "s")
    assert loaded.texts == tuple(text for _, text, _ in some)
    for i, (ink, _, _) in enumerate(some):
        np.testing.assert_array_equal(loaded.image(i), ink)
        assert loaded.width(i) == ink.shape[1]
    with pytest.raises(ValueError, match="60 rows"):
        Samples.collect([(np.zeros((9, 9), np.uint8), "", "")])
    _, arrays = storage.load(tmp_path / "s", "samples")
    for about, changed in (({"height": 61}, {}), ({"height": 60}, {"starts": arrays["starts"][::-1]})):
        storage.save(tmp_path / "s", "samples", about, arrays | changed)
        with pytest.raises(storage.StorageError, match="fit together"):
            Samples.load(tmp_path / "s")
