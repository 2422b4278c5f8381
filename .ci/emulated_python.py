"""Pythons of another processor, run by qemu: where ``make wheels`` tests what this one cannot run.

They come from Debian's packages.
"""

import os
import shutil
import subprocess
from pathlib import Path

SUITES = {"3.11": "bookworm", "3.13": "trixie"}  # Debian's releases, by their Python; none has 3.12
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # Debian's names
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class NotHere(Exception):
    """Why there is no such Python."""


def run(*command: str | Path) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotHere(f"{command[0]} failed: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
    return done.stdout


def emulated_python(version: str, processor: str, folder: Path) -> list[str]:
    """A command that runs it; its packages are unpacked in a folder, and nothing of the system is changed."""
    qemu = shutil.which(f"qemu-{processor}-static") or shutil.which(f"qemu-{processor}")
    if qemu is None:
        raise NotHere(f"no qemu-{processor}, which Debian's package qemu-user-static brings")
    if version not in SUITES:
        raise NotHere(f"no release of Debian has Python {version}")
    root = folder / "root"
    if not root.is_dir():
        packages = f"python{version}", "libstdc++6"  # NumPy needs the latter
        unpack(packages, SUITES[version], ARCHITECTURES[processor], folder)
    command = ["/usr/bin/env", f"PYTHONHOME={root}/usr", qemu, "-L", str(root), f"{root}/usr/bin/python{version}"]
    said = run(*command, "-c", "import sys, platform; print('%d.%d' % sys.version_info[:2], platform.machine())")
    if said.split() != [version, processor]:
        raise NotHere(f"the Python of Debian's packages said it was {said.strip()}")
    return command


def unpack(packages: tuple[str, ...], suite: str, architecture: str, folder: Path) -> None:
    """Packages and all that they need, from the mirror that this system uses."""
    if shutil.which("apt-get") is None or not KEYS.is_file():
        raise NotHere("its packages come from Debian, and this is another system")
    sources = run("apt-get", "indextargets", "--format", "$(REPO_URI) $(COMPONENT)", "Created-By: Packages")
    mirrors = [line.split()[0] for line in sources.splitlines() if line.endswith("/debian/ main")]
    if not mirrors:
        raise NotHere("no mirror of Debian is among the system's package sources")
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("state/lists/partial", "cache/archives/partial", "unfinished"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()  # nothing is installed yet
    (folder / "sources.list").write_text(f"deb [signed-by={KEYS}] {mirrors[0]} {suite} main\n")
    options = {
        "APT::Architecture": architecture,
        "APT::Architectures::": architecture,
        "APT::Sandbox::User": "",
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": os.devnull,
    }
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    run(*apt, "update")
    run(*apt, "install", "--yes", "--download-only", "--no-install-recommends", *packages)
    root = folder / "unfinished"
    for archive in (folder / "cache/archives").glob("*.deb"):
        run("dpkg-deb", "--extract", archive, root)
    if not (root / "lib").exists():  # newer packages expect the link
        (root / "lib").symlink_to("usr/lib")
    shutil.rmtree(folder / "cache")
    shutil.rmtree(folder / "state")
    root.rename(folder / "root")
