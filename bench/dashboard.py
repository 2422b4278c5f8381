"""Finish the dashboard that asv has published: a table comes first, and nothing is asked of the network.

    asv publish && python -m bench.dashboard [--quick] [FOLDER]

asv's page, then graphs.html, takes its scripts from npm; they are put into the folder. The packages are pinned, with
their digests, to the versions that asv's page asks for; their licences are copied beside them. Any static server shows
the folder then, `python -m http.server` for one.
"""

import argparse
import re
import shutil
import tempfile
from pathlib import Path

from bench import overview
from fastctc import storage
from fastctc.htr import npm

PINS = {  # version and digest of each package
    "jquery": (
        "3.3.1",
        "sha512-Ubldcmxp5np52/ENotGxlLe6aGMvmF4R8S6tZjsP6Knsaxd/xp3Zrh50cG93lR6nPXyUFwzN3ZSOQI0wRJNdGg==",
    ),
    "flot": (
        "0.8.3",
        "sha512-xg2otcTJDvS+ERK+my4wxG/ASq90QURXtoM4LhacCq0jQW2jbyjdttbRNqU2cPykrpMvJ6b2uSp6SAgYAzj9tQ==",
    ),
    "flot-orderbars": (
        "1.0.0",
        "sha512-Jv51fvzevUjNXEeozpwEKfPjhiZhfiJddv0WHjduUTCmSF+7T5K7C9c9Y1wIVmUhDBv5fLMjgbwKecT0GIKPZA==",
    ),
    "stupid-table-plugin": (
        "1.1.3",
        "sha512-2Vk7XouQPxUQPRe9w0Fu7ZZ8kHLK7rDoLMsCgtKxRNJ7f4dSOGvW9CkHsq5wD6QsaEnWoyLBYH3xOEsrK3yWBg==",
    ),
    "blueimp-md5": (
        "2.19.0",
        "sha512-DRQrD6gJyy8FbiE4s+bDoXS9hiW3Vbx5uCdwvcCf3zLHL+Iv7LtGHLpr+GZV8rHG8tK766FGYBwRbu8pELTt+w==",
    ),
    "bootstrap": (
        "3.1.1",
        "sha512-TAzqS8E/ISpVHP29gYhy+1NSV+FJwApDVQhDfgLYsIuUDJiqJzH2DfORN5tiu+Ie2iBLrzEG34t4Rf465cigqg==",
    ),
}
# What the page's address ends with: package, file in the package.
SCRIPTS = {
    "jquery-3.3.1.min.js": ("jquery", "dist/jquery.min.js"),
    "jquery.flot.min.js": ("flot", "jquery.flot.js"),
    "jquery.flot.time.min.js": ("flot", "jquery.flot.time.js"),
    "jquery.flot.selection.min.js": ("flot", "jquery.flot.selection.js"),
    "jquery.flot.categories.min.js": ("flot", "jquery.flot.categories.js"),
    "jquery.flot.orderBars.js": ("flot-orderbars", "js/jquery.flot.orderBars.js"),
    "stupidtable.min.js": ("stupid-table-plugin", "stupidtable.min.js"),
    "md5.min.js": ("blueimp-md5", "js/md5.min.js"),
    "bootstrap.min.js": ("bootstrap", "dist/js/bootstrap.min.js"),
    "bootstrap.min.css": ("bootstrap", "dist/css/bootstrap.min.css"),
}
TAG = re.compile(r'(src|href)="https?://[^"]*/([^"/]+)"[^>]*?(?=\s*/?>)')


def vendor(folder):
    """Put the scripts into FOLDER/vendor, and let index.html ask for them there."""
    page = folder / "index.html"
    if not page.is_file():
        raise SystemExit(f"{page} is not there: run asv publish first")
    text = page.read_text(encoding="utf-8")
    if "asv.js" not in text:
        raise SystemExit(f"{page} is not asv's any more: run asv publish first")
    with tempfile.TemporaryDirectory() as place:
        try:
            fetched = npm.install(Path(place), PINS)
        except RuntimeError as error:
            raise SystemExit(f"the dashboard's scripts: {error}") from None
        for package, file in SCRIPTS.values():
            source = fetched / package
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
        package, file = SCRIPTS[name]
        return f'{match.group(1)}="vendor/{package}/{file}"'

    text = TAG.sub(local, text)
    left = re.findall(r'<(?:script|link)[^>]*"https?://[^"]*/([^"/]+)"', text)
    if left:
        raise SystemExit(f"the page asks for scripts that are not known here: {', '.join(left)}")
    storage.write_text(page, text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.dashboard", description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=".asv/html", help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="say that everything was measured once")
    options = parser.parse_args()
    vendor(options.folder)
    overview.write(options.folder, options.quick)
