"""How Sphinx builds the documentation: `make docs`."""

from importlib.metadata import version as version_of

project = "fastctc"
author = "The fastctc authors"
copyright = "The fastctc authors"
version = release = version_of("fastctc")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.intersphinx", "numpydoc"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False
intersphinx_mapping = {}

html_theme = "furo"
html_title = "fastctc"
html_static_path = []
