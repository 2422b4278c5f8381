"""A folder of scans under review: what is read there in the background, and what a person says of it."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy.typing as npt

from fastctc import storage
from fastctc.htr import jpeg
from fastctc.htr.places import Places
from fastctc.htr.reader import Reader
from fastctc.htr.review.transcript import ENDING, Conflict, Transcript
from fastctc.imaging import images

WEIGHTS = "review.fastctc"  # in the folder: what a training from its corrections has made
WIDEST = 2400  # columns of the images that are shown
LOOK_EVERY = 2.0  # seconds between two looks for new weights


class Reading(NamedTuple):
    """Who reads."""

    reader: Reader
    digest: str  # another one for other weights or settings


class Scan:
    """A scan of the folder, and how far it is."""

    def __init__(self, name: str, file: Path) -> None:
        self.name, self.file = name, file
        self.result = file.with_name(file.name + ENDING)
        self.transcript: Transcript | None = None
        self.error = ""
        self.warning = ""  # what stands in the way of saving
        self.seen: tuple[int, int] | None = None  # the file of the transcript as it was written or read last
        self.revision = 0

    @property
    def state(self) -> str:
        """ "broken", "waiting" or "read"."""
        return "broken" if self.error else "read" if self.transcript else "waiting"

    def update(self) -> None:
        """Take in what the file of the transcript holds, if it is not what was written last.

        Raises
        ------
        Conflict
            If something else has written it.
        """
        version = _version(self.result)
        if version != self.seen and version is not None:
            self.transcript = Transcript.from_xml(self.result)
            self.revision += 1
        self.seen = version

    def save(self, transcript: Transcript) -> None:
        """Write a transcript, and have it."""
        storage.write_text(self.result, transcript.to_xml())
        self.have(transcript)
        self.seen = _version(self.result)

    def have(self, transcript: Transcript) -> None:
        self.transcript = transcript
        self.revision += 1


class Folder:
    """The scans of a folder.

    Parameters
    ----------
    root : Path
    reading : function of Path or None
        Makes the reader, with the weights of the folder if they are there.
    doubtful : float
        Below this confidence a word is a doubt.
    """

    def __init__(self, root: Path, reading: Callable[[Path | None], Reading], doubtful: float) -> None:
        self.root, self.make_reading, self.doubtful = root, reading, doubtful
        self.lock = threading.RLock()
        self.wake = threading.Condition(self.lock)
        self.stopped = False
        self.wanted: Scan | None = None  # which is read next
        self.scans = {name: Scan(name, file) for name, file in _scans(root)}
        self.weights_seen: tuple[int, int] | None = None
        self.reading = self._reading()
        for scan in self.scans.values():
            self._take_in(scan)
        self.thread = threading.Thread(target=self._read_all, daemon=True)

    def start(self) -> None:
        """Begin to read in the background."""
        self.thread.start()

    def stop(self) -> None:
        """End the reading after the page at hand."""
        with self.wake:
            self.stopped = True
            self.wake.notify_all()
        self.thread.join()

    def scan(self, name: str) -> Scan:
        """A scan by its name. Raises KeyError for what is none of the folder's."""
        return self.scans[name]

    def want(self, scan: Scan) -> None:
        """Read a scan before all others."""
        with self.wake:
            self.wanted = scan
            self.wake.notify_all()

    def refresh(self, scan: Scan) -> None:
        """Take in what other programs have made of a transcript's file."""
        with self.lock:
            if scan.transcript is not None and not scan.warning:
                self._take_in(scan)

    def picture(self, scan: Scan) -> bytes:
        """A scan as JPEG."""
        return jpeg.encoded(images.read(scan.file), widest=WIDEST)

    def correct(self, name: str, change: Callable[[Transcript], Transcript]) -> Scan:
        """Change a transcript, and save it at once.

        Raises
        ------
        KeyError
            If there is no such scan.
        Conflict
            If what is to be changed has become another, or the file belongs to somebody else.
        OSError
            If it cannot be written.
        """
        with self.lock:
            scan = self.scan(name)
            scan.update()
            if scan.transcript is None:
                raise Conflict(f"{name} has not been read yet")
            scan.save(change(scan.transcript))
            return scan

    def _take_in(self, scan: Scan) -> None:
        try:
            scan.update()
        except (Conflict, OSError) as error:
            scan.warning = str(error)

    def _reading(self) -> Reading:
        weights = self.root / WEIGHTS
        self.weights_seen = _version(weights)
        return self.make_reading(weights if self.weights_seen else None)

    def _read_all(self) -> None:
        """What the thread does: one page after the other, and all again with better weights."""
        done: dict[str, str] = {}  # the digest of who has read each
        while True:
            with self.wake:
                scan = self._next(done)
                while scan is None and not self.stopped:
                    self.wake.wait(LOOK_EVERY)
                    self._look_for_weights()
                    scan = self._next(done)
                if self.stopped or scan is None:
                    return
                self._look_for_weights()
                reading = self.reading
            done[scan.name] = reading.digest
            self._read(scan, reading)

    def _next(self, done: dict[str, str]) -> Scan | None:
        order = [*([self.wanted] if self.wanted else []), *self.scans.values()]
        self.wanted = None
        for scan in order:
            old = scan.transcript
            if done.get(scan.name) == self.reading.digest:
                continue
            if old is None or (old.read_with != self.reading.digest and not old.finished):
                return scan
        return None

    def _look_for_weights(self) -> None:
        if _version(self.root / WEIGHTS) == self.weights_seen:
            return
        try:
            self.reading = self._reading()
            print(f"reading on with {self.root / WEIGHTS}", file=sys.stderr)
        except (OSError, ValueError) as error:  # a file that is none; the next one is looked at again
            print(f"{self.root / WEIGHTS}: {error}", file=sys.stderr)

    def _read(self, scan: Scan, reading: Reading) -> None:
        try:
            picture: npt.NDArray[Any] = images.read(scan.file)
            page = reading.reader.read_page(picture)
        except (OSError, ValueError, ImportError, MemoryError) as error:
            with self.lock:
                scan.error = str(error) or type(error).__name__
                scan.revision += 1
            return
        places = Places(picture.shape[0], picture.shape[1], page.layout.angle)
        with self.lock:
            first = scan.transcript.next_number() if scan.transcript else 1
            new = Transcript.of(scan.file.name, page.lines, places, reading.digest, self.doubtful, first)
            scan.error = ""
            try:
                scan.update()
                scan.save(scan.transcript.read_again(new) if scan.transcript else new)
            except (Conflict, OSError) as error:
                scan.warning = str(error)
                scan.have(scan.transcript.read_again(new) if scan.transcript else new)


def _scans(root: Path) -> list[tuple[str, Path]]:
    """Names and files of the scans: a link to elsewhere is none."""
    whole, found = root.resolve(), []
    for file in images.find([root]):
        if not file.resolve().is_relative_to(whole):
            print(f"{file}: leads out of the folder, and is left out", file=sys.stderr)
            continue
        found.append((file.relative_to(root).as_posix(), file))
    return found


def _version(file: Path) -> tuple[int, int] | None:
    try:
        about = file.stat()
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size
