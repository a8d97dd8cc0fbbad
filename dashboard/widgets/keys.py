"""Keys of the contacts screen beside those that stand on its buttons: / goes to the search, [ and ] turn pages."""

from dashboard.widgets import script

KEYS = """
const SEARCH = 'input[placeholder^="Search "]';
export default function () {
  const pressed = (event) => {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable=true], [role=dialog]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") { document.querySelector(SEARCH)?.focus(); event.preventDefault(); }
    if (event.key === "[" || event.key === "]") {
      const arrows = document.querySelectorAll('[data-testid="stPagination"] button[aria-label]');
      (event.key === "[" ? arrows[0] : arrows[arrows.length - 1])?.click();
    }
  };
  document.addEventListener("keydown", pressed);
  document.documentElement.dataset.keys = "contacts";  // for tests: nothing else shows that they are there
  return () => {
    document.removeEventListener("keydown", pressed);
    delete document.documentElement.dataset.keys;
  };
}
"""


def keys() -> None:
    script.run("contact_keys", KEYS, key="contact keys")
