"""A button that puts a text into the clipboard, in the browser alone."""

import streamlit as st

# Without https there is no clipboard interface; the old way through a selected field still works there.
COPY = """
export default function ({ data, parentElement }) {
  const button = parentElement.querySelector("button");
  const sign = button.querySelector("span");
  button.querySelector("b").textContent = data.words;
  button.title = data.label; button.setAttribute("aria-label", data.label);
  button.onclick = async () => {
    try { await navigator.clipboard.writeText(data.text); }
    catch {
      const field = document.createElement("textarea");
      field.value = data.text; document.body.append(field); field.select();
      document.execCommand("copy"); field.remove(); button.focus();
    }
    sign.textContent = "check"; button.setAttribute("aria-label", "Copied");
    setTimeout(() => { sign.textContent = "content_copy"; button.setAttribute("aria-label", data.label); }, 1500);
  };
}
"""
HTML = '<button type="button"><span aria-hidden="true">content_copy</span><b></b></button>'
STYLE = """
button { border: 0; background: none; padding: 2px; cursor: pointer; line-height: 1; color: var(--st-gray-text-color);
  border-radius: var(--st-button-radius); }
button:hover { color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); }
span { font: 400 16px/1 "Material Symbols Rounded"; vertical-align: middle; }
b { font: 400 0.875rem var(--st-font); vertical-align: middle; }
b:not(:empty) { padding: 0 0.25rem 0 0.5rem; color: var(--st-text-color); }
button:has(b:not(:empty)) { min-height: 2.5rem; }
"""


def copy_button(text: str, *, label: str, key: str, words: bool = False) -> None:
    """`label` is what a screen reader and the tooltip say: “Copy ann@example.com”; with `words` it is written there."""
    button = st.components.v2.component("copy_button", html=HTML, css=STYLE, js=COPY)
    button(
        data={"text": text, "label": label, "words": label if words else ""}, key=key, width="content", height="content"
    )
