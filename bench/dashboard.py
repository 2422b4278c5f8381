"""Make the dashboard that asv has published independent of the network: its scripts come from npm, into the folder.

    asv publish && python -m bench.dashboard [FOLDER]

The packages are pinned to the versions that asv's page asks for; their licences are copied beside them. Any static
server shows the folder then, `python -m http.server` for one.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from fastctc import storage

# What the page's address ends with: package, version, file in the package.
SCRIPTS = {
    "jquery-3.3.1.min.js": ("jquery", "3.3.1", "dist/jquery.min.js"),
    "jquery.flot.min.js": ("flot", "0.8.3", "jquery.flot.js"),
    "jquery.flot.time.min.js": ("flot", "0.8.3", "jquery.flot.time.js"),
    "jquery.flot.selection.min.js": ("flot", "0.8.3", "jquery.flot.selection.js"),
    "jquery.flot.categories.min.js": ("flot", "0.8.3", "jquery.flot.categories.js"),
    "jquery.flot.orderBars.js": ("flot-orderbars", "1.0.0", "js/jquery.flot.orderBars.js"),
    "stupidtable.min.js": ("stupid-table-plugin", "1.1.3", "stupidtable.min.js"),
    "md5.min.js": ("blueimp-md5", "2.19.0", "js/md5.min.js"),
    "bootstrap.min.js": ("bootstrap", "3.1.1", "dist/js/bootstrap.min.js"),
    "bootstrap.min.css": ("bootstrap", "3.1.1", "dist/css/bootstrap.min.css"),
}
TAG = re.compile(r'(src|href)="https?://[^"]*/([^"/]+)"[^>]*?(?=\s*/?>)')


def vendor(folder):
    """Put the scripts into FOLDER/vendor, and let index.html ask for them there."""
    page = folder / "index.html"
    if not page.is_file():
        raise SystemExit(f"{page} is not there: run asv publish first")
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("the dashboard's scripts come from the npm registry, and there is no npm on this machine")
    wanted = sorted({f"{package}@{version}" for package, version, _ in SCRIPTS.values()})
    with tempfile.TemporaryDirectory() as place:
        command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", place, *wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"npm could not fetch {', '.join(wanted)}:\n{done.stderr}")
        for package, _, file in SCRIPTS.values():
            source = Path(place, "node_modules", package)
            target = folder / "vendor" / package
            copied = target / file
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / file, copied)
            for licence in [*source.glob("LICEN[CS]E*"), source / "package.json"]:
                shutil.copyfile(licence, target / licence.name)
            if (source / "dist" / "fonts").is_dir():
                shutil.copytree(source / "dist" / "fonts", target / "dist" / "fonts", dirs_exist_ok=True)

    def local(match):
        name = match.group(2)
        if name not in SCRIPTS:
            return match.group(0)
        package, _, file = SCRIPTS[name]
        return f'{match.group(1)}="vendor/{package}/{file}"'

    text = TAG.sub(local, page.read_text(encoding="utf-8"))
    left = re.findall(r'<(?:script|link)[^>]*"https?://[^"]*/([^"/]+)"', text)
    if left:
        raise SystemExit(f"the page asks for scripts that are not known here: {', '.join(left)}")
    storage.write_text(page, text)


if __name__ == "__main__":
    vendor(Path(sys.argv[1] if len(sys.argv) > 1 else ".asv/html"))
