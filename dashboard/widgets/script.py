"""Scripts that run in the browser and show nothing."""

from typing import Any

import streamlit as st

KEY = "script"  # touches.css takes what has such a key out of the page's flow: it would leave a gap


def run(name: str, script: str, *, key: str, data: dict[str, Any] | None = None) -> None:
    """Mounts a component of nothing but `script`, an ES module. `name` is the component's, `key` the element's."""
    st.components.v2.component(name, js=script)(key=f"{KEY} {key}", data=data, height=1)
