"""Sphinx settings: `make docs` builds the site into docs/_build, offline, and a warning is an error.

The pages of the methods and of the commands are written when the site is built (docs/_ext/pages.py), so they are not
in the repository.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "penchant"
smartquotes = False
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "mathml", "pages"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
napoleon_use_rtype = False
autodoc_typehints = "none"
html_theme = "furo"
html_title = "penchant"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_show_sourcelink = False
html_show_copyright = False
html_copy_source = False
pygments_dark_style = "monokai"
exclude_patterns = ["_build"]
