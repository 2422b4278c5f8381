"""Packages of the npm registry, in the versions and with the digests that their user names."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

Pins = Mapping[str, tuple[str, str]]  # version and digest ("sha512-...") of each package


def install(folder: Path, pins: Pins) -> Path:
    """Fetch packages into an empty folder; returns ``node_modules`` there. Nothing of them is executed.

    npm gets a lock file with the pins: it takes these versions and no others, and refuses what has another digest.

    Raises
    ------
    RuntimeError
        If there is no npm, or if it fails; its own words are in the message.
    """
    program = shutil.which("npm")
    if program is None:
        raise RuntimeError(f"{len(pins)} packages of the npm registry are needed, and there is no npm on this machine")
    needs = {name: version for name, (version, _) in pins.items()}
    locked = {f"node_modules/{name}": {"version": v, "integrity": digest} for name, (v, digest) in pins.items()}
    lock = {"lockfileVersion": 3, "requires": True, "packages": {"": {"dependencies": needs}, **locked}}
    (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": needs}), encoding="utf-8")
    (folder / "package-lock.json").write_text(json.dumps(lock), encoding="utf-8")
    command = [program, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"npm could not fetch {len(pins)} packages:\n{done.stderr.strip()}")
    return folder / "node_modules"
