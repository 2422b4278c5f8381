"""How Sphinx builds the documentation: `make docs`."""

from importlib.metadata import version as version_of

project = "fastctc"
author = "The fastctc authors"
copyright = "The fastctc authors"
version = release = version_of("fastctc")

extensions = ["myst_nb", "sphinx.ext.autodoc", "numpydoc"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False
nb_execution_mode = "force"  # the pages show what this version does
nb_execution_raise_on_error = True
nb_execution_timeout = 300

html_theme = "furo"
html_title = "fastctc"
html_static_path = ["static"]
html_css_files = ["wide.css"]


def without_last_line(_app, _name, source):
    """Take away the empty line that a doctest in Markdown needs before the end of its block."""
    source[0] = source[0].replace("\n\n```\n", "\n```\n")


def setup(app):
    app.connect("source-read", without_last_line)
