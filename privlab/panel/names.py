"""What a screen reader and a keyboard need and ipywidgets lacks, set by names.js on the page.

The page's side is anywidget's; its Python side, which would hold the first picture up, is these few lines.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import ipywidgets as w
from traitlets import Unicode


@cache
def _script() -> str:
    return Path(__file__).with_name("names.js").read_text(encoding="utf-8")


class Names(w.DOMWidget):
    """Names all of the panel that it is in."""

    _model_module = Unicode("anywidget").tag(sync=True)
    _model_module_version = Unicode("*").tag(sync=True)
    _model_name = Unicode("AnyModel").tag(sync=True)
    _view_module = Unicode("anywidget").tag(sync=True)
    _view_module_version = Unicode("*").tag(sync=True)
    _view_name = Unicode("AnyView").tag(sync=True)
    _anywidget_id = Unicode("privlab.panel.names.Names").tag(sync=True)
    _esm = Unicode().tag(sync=True)

    def __init__(self) -> None:
        super().__init__(_esm=_script())
