"""Programs of Hugging Face's transformers, unchanged, with imports of pyctcdecode and kenlm answered by fastctc."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import fastctc
from fastctc import NGram

pytestmark = pytest.mark.skipif(find_spec("transformers") is None, reason="needs the package transformers")

LABELS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghij"]
SENTENCES = ["a bad cab", "a big bag", "dig a big bed", "a bad bed", "feed a cab"]

PROCESSOR = """
import json, shutil
shutil.rmtree("model", ignore_errors=True)
import numpy as np
from transformers import Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2ProcessorWithLM
from pyctcdecode import BeamSearchDecoderCTC, build_ctcdecoder

labels, logits = json.load(open("labels.json")), np.load("logits.npy")
tokenizer = Wav2Vec2CTCTokenizer("vocab.json")
decoder = build_ctcdecoder(labels, "words.arpa")
made = Wav2Vec2ProcessorWithLM(
    feature_extractor=Wav2Vec2FeatureExtractor(), tokenizer=tokenizer, decoder=decoder
)
made.save_pretrained("model")
processor = Wav2Vec2ProcessorWithLM.from_pretrained("model")
assert isinstance(processor.decoder, BeamSearchDecoderCTC)
assert type(processor.decoder).__module__ == "fastctc.compat.pyctcdecode.decoder"
one = processor.decode(logits[0], output_word_offsets=True, alpha=0.5, beta=1.0, hotwords=["cab"], n_best=2)
many = processor.batch_decode(logits, output_word_offsets=True, lm_score_boundary=False)
processor.decoder.model_container[processor.decoder._model_key].score_boundary = -7.0
strange = processor.batch_decode(logits)
print(json.dumps({
    "one": one.text[0], "n": len(one.text), "offsets": one.word_offsets[0], "score": one.lm_score[0],
    "many": many.text, "strange": strange.text,
}))
"""


def spoken(text):
    logits = np.zeros((40, len(LABELS)), np.float32)
    ways = [label for c in text.replace(" ", "|") for label in (LABELS.index(c), 0)]
    ways += [0] * (40 - len(ways))
    logits[np.arange(40), ways] = 12.0
    return logits


def run(folder, program, *names):
    (folder / "program.py").write_text(program)
    paths = [str(Path(fastctc.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "fastctc.compat", *names, "--", "program.py"],
        cwd=folder, env=here, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What programs find beside them."""
    folder = tmp_path_factory.mktemp("hugging_face")
    NGram.train("\n".join(SENTENCES), 3, unit="word").to_arpa(folder / "words.arpa")
    (folder / "labels.json").write_text(json.dumps(LABELS))
    (folder / "vocab.json").write_text(json.dumps({label: number for number, label in enumerate(LABELS)}))
    np.save(folder / "logits.npy", np.stack([spoken("a bad cab"), spoken("dig a bed")]))
    return folder


def test_the_processor(folder):
    found = run(folder, PROCESSOR, "pyctcdecode")
    assert found["one"] == "a bad cab"
    assert found["many"] == found["strange"] == ["a bad cab", "dig a bed"]
    assert [(w["word"], w["start_offset"], w["end_offset"]) for w in found["offsets"]] == [
        ("a", 0, 1),
        ("bad", 4, 9),
        ("cab", 12, 17),
    ]
    names = sorted(p.name for p in (folder / "model" / "language_model").iterdir())
    assert names == ["attrs.json", "unigrams.txt", "words.arpa"]


PIPELINE = """
import json, pathlib, shutil
shutil.rmtree("model", ignore_errors=True)
from types import SimpleNamespace
import numpy as np, torch
from transformers import (
    AutomaticSpeechRecognitionPipeline, Wav2Vec2Config, Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC,
    Wav2Vec2ProcessorWithLM, pipeline,
)
from pyctcdecode import build_ctcdecoder

labels, logits = json.load(open("labels.json")), np.load("logits.npy")
config = Wav2Vec2Config(
    vocab_size=len(labels), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
    conv_dim=[8], conv_stride=[160], conv_kernel=[160], num_feat_extract_layers=1, num_conv_pos_embeddings=2,
    num_conv_pos_embedding_groups=2, pad_token_id=0,
)
Wav2Vec2ForCTC(config).save_pretrained("model")
Wav2Vec2ProcessorWithLM(
    feature_extractor=Wav2Vec2FeatureExtractor(), tokenizer=Wav2Vec2CTCTokenizer("vocab.json"),
    decoder=build_ctcdecoder(labels, "words.arpa"),
).save_pretrained("model")
extractor = {**Wav2Vec2FeatureExtractor().to_dict(), "processor_class": "Wav2Vec2ProcessorWithLM"}
pathlib.Path("model/preprocessor_config.json").write_text(json.dumps(extractor))  # as folders of the hub have it
pathlib.Path("model/processor_config.json").unlink(missing_ok=True)
asr = pipeline("automatic-speech-recognition", model="model")
assert asr.type == "ctc_with_lm", asr.type
asr.model.forward = lambda *_, **__: SimpleNamespace(logits=torch.tensor(logits[:1]))
found = asr(np.zeros(6400, np.float32), return_timestamps="word")
print(json.dumps(found))
"""


@pytest.mark.skipif(find_spec("torch") is None, reason="needs the package torch")
def test_the_pipeline(folder):
    found = run(folder, PIPELINE, "pyctcdecode")
    assert found["text"] == "a bad cab"
    assert [word["text"] for word in found["chunks"]] == ["a", "bad", "cab"]
