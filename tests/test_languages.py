"""The language models that come along: what they know, who asks them, and what the command line makes of a language."""

from math import exp
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastctc import BeamSearch, Lexicon, NGram
from fastctc.__main__ import main
from fastctc.htr.languages import LANGUAGES, language_model, languages_of, shipped_language_model
from fastctc.htr.reader import Reader

EXAMPLES = Path(__file__).parents[1] / "examples" / "handwriting"
SENTENCES = {
    "en": "the letters that you left with me have all been copied now",
    "fr": "les lettres que vous m'avez laissées ont toutes été copiées",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_shipped_models(language):
    model = language_model(language)
    assert shipped_language_model(language).stat().st_size < 3e6
    assert (model.unit, model.order) == ("character", 6)
    assert set(Reader().config.characters) < set(model.vocabulary)
    perplexity = {other: model.perplexity([sentence]) for other, sentence in SENTENCES.items()}
    assert perplexity[language] < 8
    assert min(perplexity, key=perplexity.get) == language
    for history in ("", "th", " que", "the lette"):  # 8 bits leave the sum near 1
        tokens = [token for token in model.vocabulary if token != "<s>"]
        assert sum(exp(model.log_probs_of([*history, token])[-1]) for token in tokens) == pytest.approx(1, abs=0.03)


def test_languages_of_tags():
    assert languages_of("en") == {"en": "en"}
    assert languages_of("fr-CA+en") == {"fr-CA": "fr", "en": "en"}
    assert languages_of("auto") == {"en": "en", "fr": "fr"}
    for tags in ("english", "de", "en+", "en+de", "+"):
        with pytest.raises(ValueError, match="language must be one with a model, en or fr"):
            languages_of(tags)


def lines_of_page():
    page = np.asarray(Image.open(EXAMPLES / "page.jpg").convert("L"))
    boxes = [line.box for line in Reader().read_page(page).lines[:3]]
    return [page[box.top : box.bottom, box.left : box.right] for box in boxes]


def test_a_language_reads_with_its_model():
    images = lines_of_page()
    english, given = Reader(language="en"), Reader(ngram=language_model("en"))
    for line, same, plain in zip(*(one.read_lines(images) for one in (english, given, Reader())), strict=True):
        assert (line.text, line.hypotheses, line.words) == (same.text, same.hypotheses, same.words)
        assert (line.language, same.language, plain.language) == ("en", "", "")
        assert line.hypotheses[0].lm_log_prob is not None
        assert line.words[0].fitted_for == "characters, one view"


@pytest.mark.parametrize("n_views", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_of_several_languages_the_more_probable_one_is_taken(n_views):
    images = lines_of_page()
    readings = {tag: Reader(language=tag, n_views=n_views).read_lines(images) for tag in ("en", "fr-CA")}
    best = max(readings, key=lambda tag: sum(line.hypotheses[0].score for line in readings[tag]))
    assert best == "en"
    assert Reader(language="fr-CA+en", n_views=n_views).read_lines(images) == readings["en"]
    assert [line.language for line in Reader(language="auto").read_words(images)] == ["en"] * 3
    assert Reader(language="auto").read_lines([]) == []


def test_a_language_goes_without_what_reads_instead():
    reader = Reader()
    for other in (
        {"ngram": language_model("fr")},
        {"decoder": BeamSearch(reader.alphabet)},
        {"lexicon": Lexicon.from_words(["a"], reader.word_alphabet)},
    ):
        with pytest.raises(ValueError, match="a language brings a model of its own"):
            Reader(language="en", **other)
    with pytest.raises(ValueError, match="language must be one with a model"):
        Reader(language="de")
    assert Reader(language="en", lm_weight=0.5)._decoder.lm_weight == 0.5


def read(capsys, *options):
    assert main(["read", str(EXAMPLES / "line.jpg"), "--level", "line", *options]) == 0
    return capsys.readouterr().out


def test_the_command_line_reads_with_the_model_of_the_language(tmp_path, capsys):
    plain = read(capsys, "--format", "json")
    outputs = [plain, *(read(capsys, "--format", "json", "--language", language) for language in LANGUAGES)]
    assert len(set(outputs)) == 3
    assert read(capsys, "--format", "json", "--language", "en", "--lm", "none") == plain
    assert read(capsys, "--format", "json", "--language", "de") == plain  # no model, and nothing to say it in
    assert 'lang="de"' in read(capsys, "--format", "hocr", "--language", "de")
    assert 'lang="en"' in read(capsys, "--format", "hocr", "--language", "auto")
    assert 'lang="en-GB"' in read(capsys, "--format", "hocr", "--language", "fr+en-GB")
    NGram.train(["dear friend"], 3, sentences=True, vocabulary=Reader().config.characters).save(
        tmp_path / "own.fastctc"
    )
    own = read(capsys, "--format", "json", "--lm", str(tmp_path / "own.fastctc"))
    assert read(capsys, "--format", "json", "--lm", str(tmp_path / "own.fastctc"), "--language", "fr") == own


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--language", "en+de"], "language must be one with a model"),
        (["--language", "en+fr", "--words", "page.txt"], "several languages are to choose a model"),
        (["--language", "e n"], "a language must be a tag"),
        (["--language", "en", "--lm", "none", "--lm-weight", "0.5"], "lm_weight is that of a character model"),
    ],
)
def test_languages_that_are_refused(capsys, monkeypatch, options, message):
    monkeypatch.chdir(EXAMPLES)
    try:
        status = main(["read", "line.jpg", *options])
    except SystemExit as stop:
        status = stop.code
    assert status in (1, 2)
    assert message in capsys.readouterr().err


def test_what_the_models_cost_is_said_in_their_card():
    card = shipped_language_model("en").with_name("README.md").read_text(encoding="utf-8")
    for language in LANGUAGES:
        [row] = [line for line in card.splitlines() if line.startswith(f"| {language}.fastctc")]
        assert f"{len(language_model(language))} of" in row
