"""Review: transcripts that keep what a person says, a server for one person, and the page itself in Chromium."""

import asyncio
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("PIL")
pytest.importorskip("scipy")
from PIL import Image, ImageDraw

from fastctc.__main__ import main
from fastctc.htr import data
from fastctc.htr.places import Places
from fastctc.htr.reader import Alternative, Line, Reader, Word
from fastctc.htr.review import folder as folders
from fastctc.htr.review.transcript import ENDING, Conflict, Transcript, clean
from fastctc.imaging.segmentation import Box

ROWS, COLUMNS = 400, 900
TEXTS = (("Dear", "friend,"), ("the", "lettors", "wore", "lost."), ("Yours", "trnly"))
SURE = ((0.9, 0.8), (0.95, 0.3, 0.2, 0.9), (0.7, 0.45))
INSTEAD = {"lettors": ("letters", "lettois"), "wore": ("were", "wove"), "trnly": ("truly",)}


def read_lines(texts=TEXTS, sure=SURE):
    """Lines as a reader would return them."""
    lines = []
    for row, (words, confidences) in enumerate(zip(texts, sure, strict=True)):
        found, left = [], 40
        for word, certainty in zip(words, confidences, strict=True):
            box = Box(left, 60 + 110 * row, left + 20 * len(word), 110 + 110 * row)
            left = box.right + 30
            others = tuple(Alternative(one, 0.3 / (k + 1)) for k, one in enumerate(INSTEAD.get(word, ())))
            found.append(Word(word, box, certainty, (), "", others))
        whole = Box(40, 60 + 110 * row, left - 30, 110 + 110 * row)
        lines.append(Line(" ".join(words), whole, tuple(found), -1.0, 0.4, ()))
    return tuple(lines)


def transcript_of(texts=TEXTS, sure=SURE, read_with="one", first=1):
    return Transcript.of("letter.png", read_lines(texts, sure), Places(ROWS, COLUMNS), read_with, 0.5, first)


class StandIn:
    """A reader that has read everything already."""

    def __init__(self, texts=TEXTS):
        self.texts = texts
        self.n_read = 0

    def read_page(self, picture):
        assert picture.size
        self.n_read += 1
        return SimpleNamespace(lines=read_lines(self.texts), layout=SimpleNamespace(angle=0.0))


@pytest.fixture
def scans(tmp_path):
    root = tmp_path / "scans"
    (root / "1905").mkdir(parents=True)
    for name in ("a.png", "1905/b.jpg"):
        picture = Image.new("RGB", (COLUMNS, ROWS), "white")
        for row, words in enumerate(TEXTS):
            ImageDraw.Draw(picture).text((40, 70 + 110 * row), " ".join(words), fill="navy", font_size=40)
        picture.save(root / name)
    (root / "broken.png").write_bytes(b"junk")
    return root


def made(root, reader=None, digest="one"):
    return folders.Folder(root, lambda _: folders.Reading(reader or StandIn(), digest), 0.5)


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.02)


@contextmanager
def read(folder):
    """A folder whose pages have all been read."""
    folder.start()
    try:
        until(lambda: all(scan.state != "waiting" for scan in folder.scans.values()))
        yield folder
    finally:
        folder.stop()


# Transcripts ----------------------------------------------------------------------------------------------------------


def test_a_file_holds_all_that_is_known(tmp_path):
    before = transcript_of()
    before = before.with_word("l2", "l2w2", "lettors", "letters").with_line("l3", "Yours trnly", "Yours truly")
    place = tmp_path / f"letter.png{ENDING}"
    place.write_text(before.to_xml(), encoding="utf-8")
    assert Transcript.from_xml(place) == before
    assert [word.state for line in before.lines for word in line.words].count("corrected") == 2
    assert (before.n_doubts, before.n_settled) == (1, 3)


def test_texts_of_any_kind_are_kept(tmp_path):
    place = tmp_path / "x.xml"
    for text in ("<b>&amp;\"'</b>", "œuvre 你好 𝒜", "a\u0300", "]]>", "x" * 500):
        now = transcript_of().with_word("l1", "l1w1", "Dear", text)
        place.write_text(now.to_xml(), encoding="utf-8")
        assert Transcript.from_xml(place) == now
        assert clean(text) in now.lines[0].text
    assert clean(" a\t\nb\x00\x1b\ud800 \ufffe") == "a b"
    with pytest.raises(ValueError, match="at most 2000 characters"):
        transcript_of().with_word("l1", "l1w1", "Dear", "x" * 3000)


def test_a_line_is_learnt_from_when_no_doubt_is_left():
    now = transcript_of()
    assert [line.settled(0.5) for line in now.lines] == [False, False, False]
    now = now.with_word("l2", "l2w2", "lettors", "letters")
    assert not now.lines[1].settled(0.5)
    now = now.with_word("l2", "l2w3", "wore", "wore")
    assert now.lines[1].settled(0.5)
    assert [word.state for word in now.lines[1].words] == ["", "corrected", "right", ""]
    now = now.with_line("l1", "Dear friend,", "Dear friend,")
    assert now.lines[0].settled(0.5)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("the letters were lost.", [(40, 100), (130, 270), (300, 380), (410, 510)]),
        ("the let ters wore lost.", [(40, 100), (130, 182), (200, 270), (300, 380), (410, 510)]),
        ("the lost.", [(40, 100), (410, 510)]),
        ("thelettors wore lost.", [(40, 270), (300, 380), (410, 510)]),
        ("", []),
    ],
)
def test_words_keep_their_places_in_a_line_that_is_written_anew(text, wanted):
    line = transcript_of().with_line("l2", "the lettors wore lost.", text).lines[1]
    assert line.text == text
    found = [(word.outline[0][0], word.outline[1][0]) for word in line.words]
    np.testing.assert_allclose(np.reshape(found, (-1, 2)), np.reshape(wanted, (-1, 2)), atol=12)
    assert len({word.name for word in line.words}) == len(line.words)
    assert all(word.state for word in line.words)
    assert line.settled(0.5)


def test_a_word_that_became_several_or_none():
    now = transcript_of().with_word("l2", "l2w2", "lettors", "let ters")
    assert now.lines[1].text == "the let ters wore lost."
    assert now.lines[1].doubts(0.5)[0].text == "wore"  # a doubt still
    now = now.with_word("l2", "l2w3", "wore", "")
    assert now.lines[1].text == "the let ters lost."
    added = transcript_of().with_line("l1", "Dear friend,", "My Dear friend,")
    assert added.lines[0].text == "My Dear friend,"


def test_what_has_become_another_is_not_changed():
    now = transcript_of().with_word("l2", "l2w2", "lettors", "letters")
    for change in (
        lambda: now.with_word("l2", "l2w2", "lettors", "litters"),
        lambda: now.with_line("l2", "the lettors wore lost.", "gone"),
        lambda: now.with_word("l9", "l9w1", "x", "y"),
        lambda: now.with_word("l2", "l2w9", "x", "y"),
    ):
        with pytest.raises(Conflict, match=r"meanwhile|not there any more"):
            change()


def test_another_reading_leaves_what_a_person_said():
    now = transcript_of().with_word("l2", "l2w2", "lettors", "letters").with_line("l3", "Yours trnly", "")
    better = transcript_of((("Dear", "Friend,"), ("the", "latters", "were", "lost."), ("Yours", "truly")),
                           read_with="two", first=now.next_number())  # fmt: skip
    after = now.read_again(better)
    assert [line.text for line in after.lines] == ["Dear Friend,", "the letters wore lost.", ""]
    assert after.read_with == "two"
    fewer = transcript_of(TEXTS[:1], SURE[:1], "three", after.next_number())
    assert [line.text for line in after.read_again(fewer).lines] == ["Dear friend,", "the letters wore lost.", ""]
    names = [line.name for line in after.lines]
    assert len(set(names)) == len(names)


def test_what_other_programs_wrote_stays(tmp_path):
    place = tmp_path / f"a.png{ENDING}"
    text = transcript_of().to_xml()
    place.write_text(text.replace("Dear", "Deer"), encoding="utf-8")  # by hand: nobody knows which word
    assert {line.state for line in Transcript.from_xml(place).lines} == {"kept"}
    again = Transcript.from_xml(place).read_again(transcript_of(read_with="two", first=9))
    assert again.lines[0].text == "Deer friend,"
    for other in (
        text.replace("fastctc review", "Transkribus"),
        text[:200],
        "",
        "<PcGts/>",
        text.replace("40,60", "a,b"),
    ):
        place.write_text(other, encoding="utf-8")
        with pytest.raises(Conflict, match="stays as it is"):
            Transcript.from_xml(place)


def test_training_takes_the_lines_that_are_settled(scans):
    now = transcript_of().with_word("l1", "l1w1", "Dear", "Deer").with_word("l2", "l2w2", "lettors", "letters")
    now = now.with_line("l3", "Yours trnly", "")
    (scans / f"a.png{ENDING}").write_text(now.to_xml().replace("letter.png", "a.png"), encoding="utf-8")
    items, _ = data.read(scans)
    assert [item.text for item in items] == ["Deer friend,"]
    assert data.sample(items[0]).max() > 100


@pytest.mark.parametrize(("angle", "n"), [(0, 1), (2.5, 1), (90, 0), (-90, 0), (180, 0)])
def test_lines_that_lie_on_their_side_are_not_learnt_from(angle, n, scans):
    now = Transcript.of("a.png", read_lines(), Places(ROWS, COLUMNS, angle), "one", 0.5)
    now = now.with_line("l1", "Dear friend,", "Deer friend,")
    (scans / f"a.png{ENDING}").write_text(now.to_xml(), encoding="utf-8")
    items, _ = data.read(scans)
    assert [item.text for item in items] == ["Deer friend,"] * n


# Folders --------------------------------------------------------------------------------------------------------------


def test_pages_are_read_once_and_corrections_are_there_at_once(scans):
    reader = StandIn()
    with read(made(scans, reader)) as folder:
        assert {name: scan.state for name, scan in folder.scans.items()} == {
            "1905/b.jpg": "read", "a.png": "read", "broken.png": "broken",
        }  # fmt: skip
        folder.correct("a.png", lambda now: now.with_word("l2", "l2w2", "lettors", "letters"))
        saved = ElementTree.parse(scans / f"a.png{ENDING}").getroot()
        assert "letters" in [one.text for one in saved.iter() if one.tag.endswith("}Unicode")]
    assert reader.n_read == 2
    with read(made(scans, reader)) as folder:
        assert folder.scan("a.png").transcript.lines[1].text == "the letters wore lost."
    assert reader.n_read == 2


def test_a_file_of_somebody_else_is_never_written(scans):
    place = scans / f"a.png{ENDING}"
    place.write_text("<PcGts>mine</PcGts>")
    with read(made(scans)) as folder:
        with pytest.raises(Conflict, match="was not written by fastctc review"):
            folder.correct("a.png", lambda now: now.with_word("l2", "l2w2", "lettors", "letters"))
        assert "stays as it is" in folder.scan("a.png").warning
    assert place.read_text() == "<PcGts>mine</PcGts>"


def test_changes_of_others_are_taken_in_before_a_correction(scans):
    with read(made(scans)) as folder, read(made(scans)) as other:
        other.correct("a.png", lambda now: now.with_word("l2", "l2w2", "lettors", "letters"))
        folder.correct("a.png", lambda now: now.with_word("l2", "l2w3", "wore", "were"))
    assert Transcript.from_xml(scans / f"a.png{ENDING}").lines[1].text == "the letters were lost."


def test_better_weights_read_on(scans, monkeypatch):
    monkeypatch.setattr(folders, "LOOK_EVERY", 0.05)
    better = StandIn((("Dear", "Friend,"), ("the", "latters", "were", "lost."), ("Yours", "truly")))

    def reading(weights):
        return folders.Reading(better, "two") if weights else folders.Reading(StandIn(), "one")

    with read(folders.Folder(scans, reading, 0.5)) as folder:
        folder.correct("a.png", lambda now: now.with_word("l2", "l2w2", "lettors", "letters"))
        (scans / folders.WEIGHTS).write_bytes(b"better")
        until(lambda: better.n_read == 2)
        until(lambda: folder.scan("a.png").transcript.read_with == "two")
        found = [line.text for line in folder.scan("a.png").transcript.lines]
    assert found == ["Dear Friend,", "the letters wore lost.", "Yours truly"]


def test_what_leads_out_of_the_folder_is_no_scan(scans, tmp_path, capsys):
    shutil.copy(scans / "a.png", tmp_path / "secret.png")
    (scans / "link.png").symlink_to(tmp_path / "secret.png")
    (scans / ".hidden").mkdir()
    shutil.copy(scans / "a.png", scans / ".hidden" / "x.png")
    assert list(made(scans).scans) == ["1905/b.jpg", "a.png", "broken.png"]
    assert "leads out of the folder" in capsys.readouterr().err


@pytest.mark.slow
def test_alternatives_of_a_real_reader():
    example = Path(__file__).parents[1] / "examples" / "handwriting" / "page.jpg"
    plain, page = Reader().read_page(example), Reader(n_alternatives=3).read_page(example)
    assert page.text == plain.text
    words = [word for line in page.lines for word in line.words]
    assert sum(len(word.alternatives) > 0 for word in words) > 0.9 * len(words)
    for word in words:
        shares = [one.probability for one in word.alternatives]
        assert len(shares) <= 3
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) <= 1 - word.confidence + 1e-9
        assert word.text not in [one.text for one in word.alternatives]
    with pytest.raises(ValueError, match="n_alternatives must be 0 or more"):
        Reader(n_alternatives=-1)


# Server ---------------------------------------------------------------------------------------------------------------


@contextmanager
def served(folder, port=0):
    pytest.importorskip("tornado", reason="Tornado, of the extra review, is not installed")
    from fastctc.htr.review.server import Server

    ready, about = threading.Event(), {}

    async def run():
        about["loop"], about["stop"] = asyncio.get_running_loop(), asyncio.Event()
        about["server"] = Server(folder, port)
        ready.set()
        await about["server"].run(about["stop"])

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield about["server"]
    finally:
        about["loop"].call_soon_threadsafe(about["stop"].set)
        thread.join()


@pytest.fixture
def server(scans):
    with read(made(scans)) as folder, served(folder) as running:
        yield running


def request(server, method, path, body=None, token=True, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    if token:
        headers.setdefault("Cookie", f"fastctc-review-{server.port}={server.token}")
        headers.setdefault("X_Token", server.token)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, path, body if body is None or isinstance(body, str) else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


CHANGE = {"line": "l2", "word": "l2w2", "before": "lettors", "text": "letters"}


def test_what_is_served(server):
    status, text, headers = request(server, "GET", "/")
    assert status == 200
    assert server.token in text.decode()
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    status, text, _ = request(server, "GET", "/pages")
    assert [(one["name"], one["state"], one["doubts"]) for one in json.loads(text)] == [
        ("1905/b.jpg", "read", 3), ("a.png", "read", 3), ("broken.png", "broken", 0),
    ]  # fmt: skip
    status, picture, headers = request(server, "GET", f"/image?name={quote('1905/b.jpg')}")
    assert (status, headers["Content-Type"], picture[:2]) == (200, "image/jpeg", b"\xff\xd8")
    status, text, _ = request(server, "POST", "/page?name=a.png", CHANGE)
    assert status == 200
    assert json.loads(text)["settled"] == 1
    status, text, _ = request(server, "POST", "/page?name=a.png", CHANGE)
    assert status == 409
    assert "meanwhile" in json.loads(text)["error"]
    for name in ("view.css", "review.css", "view.js", "review.js"):
        assert request(server, "GET", f"/assets/{name}")[0] == 200


def test_it_listens_to_this_machine_alone(server):
    assert [one.getsockname()[0] for one in server.sockets] == ["127.0.0.1"]


@pytest.mark.parametrize("path", ["/", "/pages", "/page?name=a.png", "/image?name=a.png", "/assets/review.js", "/x"])
def test_nobody_sees_anything_without_the_token(server, path):
    assert request(server, "GET", path, token=False)[0] == 403
    assert request(server, "GET", path, Cookie=f"fastctc-review-{server.port}=guess")[0] == 403


def test_the_address_that_is_printed_opens_it(server):
    status, _, headers = request(server, "GET", server.url.partition(str(server.port))[2], token=False)
    assert status == 302
    assert "HttpOnly" in headers["Set-Cookie"]
    assert "SameSite=Strict" in headers["Set-Cookie"]
    assert server.token not in headers["Location"]
    assert request(server, "GET", "/?token=guess", token=False)[0] == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "localhost:80"]
)
def test_other_names_of_this_machine_are_refused(server, host):
    assert request(server, "GET", "/pages", Host=host.format(port=server.port))[0] in (400, 403)
    assert request(server, "GET", "/pages", Host=f"localhost:{server.port}")[0] == 200


def test_changes_want_the_token_in_a_header(server):
    before = (server.folder.root / f"a.png{ENDING}").read_bytes()
    assert request(server, "POST", "/page?name=a.png", CHANGE, X_Token="guess")[0] == 403
    assert request(server, "POST", "/page?name=a.png", CHANGE, X_Token="")[0] == 403
    assert request(server, "POST", "/page?name=a.png", CHANGE, Origin="http://evil.example")[0] == 403
    assert request(server, "POST", "/page?name=a.png", CHANGE, token=False, X_Token=server.token)[0] == 403
    for method in ("PUT", "DELETE", "PATCH"):
        assert request(server, method, "/page?name=a.png", CHANGE)[0] in (404, 405)
    assert (server.folder.root / f"a.png{ENDING}").read_bytes() == before


@pytest.mark.parametrize(
    "name",
    [
        "../secret.png",
        "/etc/passwd",
        "..%2fsecret.png",
        "1905/../a.png",
        "./a.png",
        "a.png%00",
        f"a.png{ENDING}",
        "",
        "A.PNG",
    ],
)
def test_a_path_outside_the_folder_is_refused(server, name):
    shutil.copy(server.folder.root / "a.png", server.folder.root.parent / "secret.png")
    for place in ("image", "page"):
        assert request(server, "GET", f"/{place}?name={quote(name)}")[0] == 404
        assert request(server, "GET", f"/{place}?name={name}")[0] == 404
    assert request(server, "POST", f"/page?name={quote(name)}", CHANGE)[0] == 404
    assert request(server, "GET", f"/assets/{quote(name, safe='')}")[0] == 404
    assert request(server, "GET", f"/assets/../{name}")[0] == 404


@pytest.mark.parametrize(
    "body", ["", "junk", "[]", "3", "null", '{"line": 3}', '{"line": "l1", "text": ["x"]}', "[" * 9000]
)  # fmt: skip
def test_requests_that_are_none_are_refused(server, body):
    assert request(server, "POST", "/page?name=a.png", body)[0] == 400


def test_requests_that_are_too_large_are_refused(server):
    try:
        status = request(server, "POST", "/page?name=a.png", CHANGE | {"text": "x" * 100_000})[0]
    except OSError:  # the connection is closed while more is sent
        status = 400
    assert status in (400, 413)
    assert request(server, "POST", "/page?name=a.png", CHANGE | {"text": "x" * 9000})[0] == 400
    assert request(server, "GET", "/pages")[0] == 200


def test_broken_images_have_no_picture(server):
    assert request(server, "GET", "/image?name=broken.png")[0] == 404
    assert "cannot be decoded" in json.loads(request(server, "GET", "/page?name=broken.png")[1])["error"]
    assert request(server, "POST", "/page?name=broken.png", CHANGE)[0] == 409


def test_a_disk_that_is_full_is_said(server, monkeypatch):
    def refuse(path, _text):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(folders.storage, "write_text", refuse)
    status, text, _ = request(server, "POST", "/page?name=a.png", CHANGE)
    monkeypatch.undo()
    assert status == 507
    assert json.loads(text)["error"] == f"a.png{ENDING} cannot be written: No space left on device"
    assert request(server, "POST", "/page?name=a.png", CHANGE)[0] == 200  # as if nothing had happened


# Training -------------------------------------------------------------------------------------------------------------


def test_lines_that_were_held_out_always_are():
    items = [data.Item(Path("a.png"), f"text {i}", "a", "", ((0, i), (9, i), (9, i + 5))) for i in range(200)]
    few, all_of_them = data.hold_out(items[:100], 0.2), data.hold_out(items, 0.2)
    assert [item.split for item in all_of_them[:100]] == [item.split for item in few]
    assert 20 < sum(item.split == "val" for item in all_of_them) < 60
    for n in (2, 3, 5):
        assert {item.split for item in data.hold_out(items[:n], 0.01)} == {"train", "val"}
    with pytest.raises(ValueError, match="two lines or more"):
        data.hold_out(items[:1], 0.2)


@pytest.mark.parametrize(
    ("rates", "share", "after"),
    [
        ((0.3, 0.29, 0.21, 0.2, 0.2), 0.5, 0.21),
        ((0.3, 0.3, 0.28, 0.22, 0.2), 1.0, 0.2),
        ((0.3, 0.4, 0.5, 0.6, 0.7), 0.0, 0.3),
    ],
)
def test_no_more_is_changed_than_helps(rates, share, after, monkeypatch):
    from fastctc.htr import train

    seen, given = [], iter(rates)
    monkeypatch.setattr(train.network, "build_model", lambda _: None)
    monkeypatch.setattr(train.network, "set_weights", lambda _, weights: seen.append(float(weights["w"][0])))
    monkeypatch.setattr(train, "evaluate", lambda *_: train.Score(next(given), 0.5))
    blend = train.blended(None, {"w": np.zeros(1)}, {"w": np.full(1, 8.0)}, None)
    assert seen == [0, 2, 4, 6, 8]
    assert (blend.share, blend.before.cer, blend.after.cer) == (share, 0.3, after)
    assert blend.weights["w"] == 8 * share


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras'
def test_training_from_a_review(tmp_path, capfd):
    """From settled lines to weights that the review reads on with, through the command line."""
    pytest.importorskip("tensorflow", reason="TensorFlow, of the extra train, is not installed")
    from fastctc.htr.checkpoint import load_network
    from fastctc.htr.reader import shipped_weights

    example = Path(__file__).parents[1] / "examples" / "handwriting" / "page.jpg"
    shutil.copy(example, tmp_path / "page.jpg")
    page = Reader().read_page(example)
    now = Transcript.of("page.jpg", page.lines, Places(*page.layout.image.shape), "x", 0.5)
    with pytest.raises(SystemExit, match="2"):
        main(["train", "--from-review", str(tmp_path)])
    assert "nothing has been settled" in capfd.readouterr().err
    texts = example.with_suffix(".txt").read_text(encoding="utf-8").split("\n")
    for line, text in zip(now.lines, texts, strict=False):
        now = now.with_line(line.name, line.text, text.upper())  # what the weights that come along do not read so
    (tmp_path / f"page.jpg{ENDING}").write_text(now.to_xml(), encoding="utf-8")
    short = ["--steps", "12", "--validate-every", "6", "--columns", "3000", "--learning-rate", "0.002"]
    assert main(["train", "--from-review", str(tmp_path), *short, "--val", "0.5"]) == 0
    out, err = capfd.readouterr()
    assert "lines held out" in err
    before, after = (float(x) for x in re.search(r"([\d.]+)% before, ([\d.]+)% after", err).groups())
    assert after < before
    assert out.split() == [str(tmp_path / folders.WEIGHTS)]
    card = load_network(tmp_path / folders.WEIGHTS)[2]
    assert {"confidence", "temperature"} & set(load_network(shipped_weights())[2]) <= set(card)
    assert list(made(tmp_path).scans) == ["page.jpg"]  # curves are no scans
    assert Reader(weights=tmp_path / folders.WEIGHTS).read_page(example).lines
    with pytest.raises(SystemExit, match="2"):
        main(["train", "--from-review", str(tmp_path), "--data", "x"])


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="other signals")
def test_the_command(scans):
    pytest.importorskip("tornado", reason="Tornado, of the extra review, is not installed")
    command = [sys.executable, "-m", "fastctc", "review", str(scans), "--no-browser", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as running:  # fmt: skip
        try:
            address = running.stdout.readline().strip()
            port, token = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)", address).groups()
            about = SimpleNamespace(port=int(port), token=token)
            assert request(about, "GET", "/")[0] == 200
            until(lambda: "waiting" not in request(about, "GET", "/pages")[1].decode(), 120)
            running.send_signal(signal.SIGINT)
            _, errors = running.communicate(timeout=60)
        finally:
            running.kill()
    assert running.returncode == 0
    assert errors.splitlines() == ["3 scans; Ctrl-C ends it", "what was said is saved"]
    assert Transcript.from_xml(scans / f"a.png{ENDING}").lines


# The page itself ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium():
    """Debian's Chromium, driven by Playwright."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium, server):
    """A function that opens the review in a new tab of one browser; no page may have an error."""
    context = chromium.new_context(viewport={"width": 1200, "height": 800})
    errors = []

    def new(where=""):
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if "Content Security" in message.text else None)
        page.goto(server.url + where)
        page.wait_for_selector(".word")
        return page

    yield new
    context.close()
    assert not errors


def current(page):
    page.wait_for_selector(".word.current")
    return page.inner_text(".word.current")


def saved(server, name="1905/b.jpg"):
    return [line.text for line in Transcript.from_xml(server.folder.scan(name).result).lines]


def wait(page, condition):
    """Until it is true; Playwright's own way to wait is one that the page's policy forbids."""
    end = time.monotonic() + 20
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(30)


def sent(page):
    wait(page, "keys().length === 0")


@pytest.mark.slow
def test_from_doubt_to_doubt(tab, server):
    page = tab()
    assert current(page) == "wore"  # the least sure one
    assert page.locator("#choices button").all_inner_texts() == ["1wore0.20", "2were0.30", "3wove0.15"]
    page.keyboard.press("n")
    assert current(page) == "lettors"
    page.keyboard.press("n")
    assert current(page) == "trnly"
    page.keyboard.press("n")
    assert current(page) == "wore"
    page.keyboard.press("p")
    assert current(page) == "trnly"
    page.keyboard.press("n")
    page.keyboard.press("2")  # the alternative "were"
    assert current(page) == "lettors"
    sent(page)
    assert saved(server)[1] == "the lettors were lost."
    page.keyboard.press("e")
    page.keyboard.type("letter's")
    page.keyboard.press("Enter")
    assert current(page) == "trnly"
    sent(page)
    page.keyboard.press("Enter")  # right as it is
    sent(page)
    wait(page, "page.doubts === 0 || page.name !== '1905/b.jpg'")
    wanted = ["Dear friend,", "the letter's were lost.", "Yours trnly"]
    assert saved(server) == wanted
    page.reload()
    page.wait_for_selector(".word")
    page.select_option("#pages", "1905/b.jpg")
    wait(page, "page.name === '1905/b.jpg'")
    assert [line.inner_text() for line in page.locator(".text .line").all()] == wanted
    assert page.locator(".word.corrected").all_inner_texts() == ["letter's", "were"]
    assert page.locator(".word.right").all_inner_texts() == ["trnly"]
    assert page.locator("polygon.doubtful").count() == 0
    assert "3 doubts left, 3 words settled, 0 left here, broken: 1" in page.inner_text("#progress")


@pytest.mark.slow
def test_frames_lie_where_the_words_are(tab):
    page = tab()
    image = page.locator(".page img").bounding_box()
    frame = page.locator("polygon.current").bounding_box()
    middle = (frame["x"] + frame["width"] / 2 - image["x"]) / image["width"]
    height = (frame["y"] + frame["height"] / 2 - image["y"]) / image["height"]
    assert (middle, height) == pytest.approx((340 / COLUMNS, 195 / ROWS), abs=0.005)
    page.mouse.click(image["x"] + image["width"] * 70 / COLUMNS, image["y"] + image["height"] * 80 / ROWS)
    assert current(page) == "Dear"
    page.keyboard.press("ArrowDown")
    assert current(page) == "the"
    page.keyboard.press("ArrowRight")
    assert current(page) == "lettors"


@pytest.mark.slow
def test_whole_lines(tab, server):
    page = tab()
    page.keyboard.press("l")
    assert page.input_value("#text") == "the lettors wore lost."
    page.fill("#text", "the letters were all lost.")
    page.keyboard.press("Enter")
    assert current(page) == "trnly"
    page.keyboard.press("Shift+Enter")
    sent(page)
    assert saved(server)[1:] == ["the letters were all lost.", "Yours trnly"]
    wait(page, "page.name === 'a.png'")  # on to the next page with doubts
    page.keyboard.press("x")
    sent(page)
    assert saved(server, "a.png") == ["Dear friend,", "", "Yours trnly"]
    assert "nothing is written here" in page.inner_text(".text")


@pytest.mark.slow
def test_what_is_typed_is_not_lost(tab, server):
    page = tab()
    page.keyboard.press("e")
    page.keyboard.type("half")
    page.reload()
    page.wait_for_selector(".word.current")
    wait(page, "document.getElementById('text').value === 'half'")
    page.locator("polygon").nth(0).click(force=True)  # somewhere else: it is saved
    sent(page)
    assert saved(server)[1] == "the lettors half lost."
    page.keyboard.press("e")
    page.keyboard.type("not this")
    page.keyboard.press("Escape")
    assert saved(server)[0] == "Dear friend,"


@pytest.mark.slow
def test_two_tabs(tab, server):
    one, two = tab(), tab()
    one.keyboard.press("2")
    sent(one)
    two.keyboard.press("n")
    assert current(two) == "lettors"
    two.keyboard.press("2")
    sent(two)
    assert saved(server)[1] == "the letters were lost."
    wait(one, "document.querySelector('.text').innerText.includes('letters were')")  # by itself
    # Both change one word: the second is told so, and what was typed is shown.
    for page in (one, two):
        wait(page, "document.querySelector('.text').innerText.includes('letters were')")
        page.locator(".word", has_text="trnly").click()
        page.keyboard.press("e")
    one.keyboard.type("truly")
    one.keyboard.press("Enter")
    sent(one)
    two.keyboard.type("tryly")
    two.keyboard.press("Enter")
    two.wait_for_selector("#banner:not([hidden])")
    assert "has become another meanwhile. You wrote: tryly" in two.inner_text("#banner")
    assert saved(server)[2] == "Yours truly"
    assert "Yours truly" in two.inner_text(".text")


@pytest.mark.slow
def test_a_broken_image(tab):
    page = tab()
    page.select_option("#pages", "broken.png")
    page.wait_for_selector(".broken")
    assert "cannot be read" in page.inner_text("#main")
    page.keyboard.press("n")  # on to where doubts are
    page.wait_for_selector(".word.current")


@pytest.mark.slow
def test_nothing_is_lost_when_the_server_is_gone(chromium, scans):
    context = chromium.new_context()
    page = context.new_page()
    with read(made(scans)) as folder:
        with served(folder) as server:
            page.goto(server.url)
            page.wait_for_selector(".word.current")
        page.keyboard.press("2")
        page.wait_for_selector("#banner:not([hidden])")
        assert "is fastctc review still running" in page.inner_text("#banner")
        assert saved(server)[1] == "the lettors wore lost."
        with served(folder, server.port) as again:  # another token
            wait(page, "document.getElementById('banner').innerText.includes('has printed')")
            page.goto(again.url)
            page.wait_for_selector(".word")
            sent(page)
            assert saved(again)[1] == "the lettors were lost."
    context.close()


@pytest.mark.slow
def test_on_a_telephone(chromium, server):
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    page.goto(server.url)
    page.wait_for_selector(".word.current")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("#choices button").nth(1).tap()
    sent(page)
    assert saved(server)[1] == "the lettors were lost."
    context.close()
