"""One step of the browser's history for one change of screens."""

from dashboard.widgets import script

# On the way to another screen Streamlit first puts its parameters on the present one's address, as a step of its own:
# without this the back button leads to the present screen with another screen's filter, or with one it does not know.
JOIN = """
export default function () {
  if (window.joinedHistory) return;
  window.joinedHistory = true;
  const push = history.pushState.bind(history);
  let changed = -Infinity;
  history.pushState = (state, title, url) => {
    const to = new URL(url, location.href), now = performance.now();
    if (to.pathname === location.pathname) { changed = now; return push(state, title, url); }
    const halfway = now - changed < 3000 && to.search === location.search;
    changed = -Infinity;
    return halfway ? history.replaceState(state, title, url) : push(state, title, url);
  };
}
"""


def join_steps() -> None:
    script.run("browser_history", JOIN, key="browser history")
