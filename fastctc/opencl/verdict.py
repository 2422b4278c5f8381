"""Verdicts: whether a device computes, found out in a process of its own and remembered."""

import contextlib
import hashlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing import spawn
from pathlib import Path
from typing import Any, NamedTuple

from fastctc.storage import write_text

CHECK = 1  # the version of the check: what another one has found is not believed
LIMIT = 60.0  # seconds that a check may take: a compiler that starts cold on a busy machine needs ten
ASK_AGAIN = 86_400.0  # seconds after which a device that was too slow is asked again: the machine may have been busy
MARK = "fastctc:"  # begins the lines of the check's own, among whatever drivers print
# What /proc/cpuinfo says of a processor that compilers look at.
TRAITS = ("vendor_id", "cpu family", "model", "stepping", "flags", "CPU implementer", "CPU part", "Features")


class Verdict(NamedTuple):
    """What a check found."""

    works: bool
    reason: str = ""  # why not
    too_slow: bool = False  # stopped by the clock


_known: dict[str, Verdict] = {}


def remembered(about: list[Any], ask: Callable[[], Verdict], *, again: bool = False) -> Verdict:
    """The verdict on what these facts describe: as known to this process, as found on disk, or asked for now.

    Parameters
    ----------
    about : what JSON can hold
        If any of it changes, so may the verdict. The processor and the version of the check are added.
    ask : callable
        Finds the verdict.
    again : bool, default False
        Ask now, whatever is known.
    """
    about = json.loads(json.dumps([CHECK, processor(), *about]))
    key = hashlib.blake2b(json.dumps(about).encode(), digest_size=16).hexdigest()
    if not again and key in _known:
        return _known[key]
    found = None if again else _read(key, about)
    if found is None:
        found = ask()
        _write(key, about, found)
    _known[key] = found
    return found


def cache_folder() -> Path:
    """Where verdicts are kept: below XDG_CACHE_HOME, or the equivalent on this system."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    if not Path(named).is_absolute():
        named = os.environ.get("LOCALAPPDATA", "") if sys.platform == "win32" else ""
    return (Path(named) if named else Path.home() / ".cache") / "fastctc" / "devices"


def _read(key: str, about: list[Any]) -> Verdict | None:
    try:
        entry = json.loads((cache_folder() / f"{key}.json").read_text(encoding="utf-8"))
        found = Verdict(entry["works"], entry["reason"], entry["too_slow"])
        fresh = not found.too_slow or 0 <= time.time() - entry["time"] < ASK_AGAIN
        sound = [type(part) for part in found] == [bool, str, bool] and entry["about"] == about
    except (OSError, RuntimeError, ValueError, KeyError, TypeError):  # no entry, no home, no JSON, no verdict
        return None
    return found if sound and fresh else None


def _write(key: str, about: list[Any], found: Verdict) -> None:
    entry = {**found._asdict(), "time": time.time(), "about": about}
    with contextlib.suppress(OSError, RuntimeError):  # then the next process asks again
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / f"{key}.json", json.dumps(entry, indent=1) + "\n")


def processor() -> list[str]:
    """What compilers tell processors apart by."""
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return [platform.machine(), platform.processor()]
    lines = (line.partition(":") for line in first.splitlines())
    traits = (f"{name.strip()}: {value.strip()}" for name, _, value in lines if name.strip() in TRAITS)
    return [platform.machine(), *traits]


def ask(task: dict[str, Any]) -> Verdict:
    """Have :mod:`fastctc.opencl.check` do a task in a process of its own: it may crash, hang or be killed there."""
    code = "import json, sys; task = json.loads(sys.argv[1]); sys.path[:] = task['path']; "
    code += "from fastctc.opencl.check import main; main(task)"
    executable = os.fsdecode(spawn.get_executable() or "")
    if not executable or getattr(sys, "frozen", False):
        return Verdict(False, "there is no Python interpreter (sys.executable) to check it in a process of its own")
    text = json.dumps({**task, "path": sys.path})
    try:
        with tempfile.TemporaryDirectory(prefix="fastctc-check-", ignore_cleanup_errors=True) as folder:
            # compiled anew, and whatever drivers leave behind goes with the folder
            kept = dict.fromkeys(("TMPDIR", "XDG_CACHE_HOME", "POCL_CACHE_DIR"), folder)
            environment = {**os.environ, **kept, "PYOPENCL_NO_CACHE": "1"}
            status, out, errors = _run([executable, "-c", code, text], environment)
    except OSError as error:
        return Verdict(False, f"no process could be started to check it: {error}")
    steps = list(_steps(out))
    last: dict[str, Any] = steps[-1] if steps else {"step": "starting Python"}
    if "works" in last:
        return Verdict(bool(last["works"]), str(last.get("reason", "")))
    said = _last_words(errors)
    if status is None:
        return Verdict(False, f"it was stopped after {LIMIT:.0f} s of {last['step']}{said}", too_slow=True)
    how = f"crashed ({signal.strsignal(-status) or -status})" if status < 0 else f"ended with exit status {status}"
    return Verdict(False, f"it {how} when {last['step']}{said}")


def _run(command: list[str], environment: dict[str, str]) -> tuple[int | None, str, str]:
    """Exit status, None for a process that had to be stopped; what it printed to both outputs."""
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, encoding="utf-8", errors="replace", start_new_session=True,
    )  # fmt: skip
    status: int | None = None
    try:
        out, errors = process.communicate(timeout=LIMIT)
        status = process.returncode
    except subprocess.TimeoutExpired:
        _stop(process)
        try:
            out, errors = process.communicate(timeout=5)
        except subprocess.TimeoutExpired as error:  # it waits within the kernel
            out, errors = (part.decode(errors="replace") if part else "" for part in (error.stdout, error.stderr))
            for pipe in (process.stdout, process.stderr):
                if pipe:
                    pipe.close()
    except BaseException:
        _stop(process)
        process.wait(5)
        raise
    return status, out, errors


def _stop(process: "subprocess.Popen[str]") -> None:
    """The process and whatever compilers it has started."""
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _steps(out: str) -> Iterator[dict[str, Any]]:
    for line in out.splitlines():
        if line.startswith(MARK):
            with contextlib.suppress(ValueError):  # cut off
                yield json.loads(line.removeprefix(MARK))


def _last_words(errors: str) -> str:
    """What a driver said before it fell silent, in a line."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    wanted = [line for line in lines if "error" in line.lower()] or lines
    return f": {wanted[-1][:200]}" if wanted else ""
