"""The sign-in page: streamlit-authenticator's form, our own rules behind it.

As shipped, the library sets its cookie from JavaScript and keeps every user in a dictionary. Only its form is used:
what it calls on submit is replaced here by two stand-ins. That leans on its internals, so its version is pinned and
no other module knows it.
"""

import time
from pathlib import Path

import streamlit as st
import streamlit_authenticator as authenticator

from dashboard import session
from dashboard.widgets import script
from models import sign_ins
from models.sign_ins import SignInRefused

STATIC = Path(__file__).parent / "static"
LABELS = {
    "Form name": "Your account",  # hidden: the page has a heading
    "Username": "Work e-mail",
    "Password": "Password",
    "Login": "Sign in",
}
# The browser, not the script, must make the request: only a response to it can set an HttpOnly cookie.
POST = """
export default function ({ data }) {
  if (!data || window.signingInOrOut) return;
  window.signingInOrOut = true;
  const request = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data.body) };
  fetch(data.path, request).finally(() => data.next ? location.assign(data.next) : location.reload());
}
"""
# The form tells the browser to remember nothing; WCAG 2.2 asks for the opposite, for those who cannot keep passwords.
FIELDS = """
export default function () {
  const tell = () => {
    const [name, password] = document.querySelectorAll('[data-testid="stForm"] input');
    if (!password) return requestAnimationFrame(tell);
    name.autocomplete = "username"; name.inputMode = "email"; name.autocapitalize = "none"; name.spellcheck = false;
    name.placeholder = "you@company.com";
    password.autocomplete = "current-password";
  };
  tell();
}
"""


class _NoCookie:
    """Stands in for the cookie controller: no cookie is read or written from the script."""

    def get_cookie(self) -> None:
        return None

    def set_cookie(self) -> None:
        return None


class _OurRules:
    """Stands in for the authentication controller: the password is checked, and failures are counted, in models."""

    ticket: str | None = None
    refusal: str | None = None

    def login(self, username: str, password: str, *_: object, **__: object) -> bool:
        if not username.strip() or not password:
            self.refusal = "Enter your e-mail and your password."
            return False
        try:
            step = sign_ins.check_password(username, password, address=session.address())
        except SignInRefused as refused:
            self.refusal = refused.sentence
            return False
        if step.needs:
            self.refusal = "This account signs in with a second factor."
            return False
        self.ticket = step.ticket
        return True


class _Form(authenticator.Authenticate):
    def __init__(self, rules: _OurRules) -> None:  # not the library's own, which would load its cookie component
        self.path = None
        self.attrs = {"login_sleep_time": 0}
        self.cookie_controller = _NoCookie()
        self.authentication_controller = rules


def show(*, kept: str = "") -> None:
    """Draw the sign-in page; after the right password the browser trades a ticket for its cookie and reloads.

    `kept` says what awaits whoever was at work in this very tab when the session ended, and nothing of what it is.
    """
    rules = _OurRules()
    with st.container(horizontal=True, horizontal_alignment="center", key="sign_in_page"), st.container(width=380):
        st.image(STATIC / "mark.svg", width=40, alt="")
        st.title("Sign in to Appointment360", anchor=False)
        st.caption("Contact data for the revenue team. Access is by invitation.")
        if kept:
            st.info(f"Your session has ended. Sign in again: {kept}.", icon=":material/edit_note:")
        _Form(rules).login(fields=LABELS, key="sign_in")
        script.run("sign_in_fields", FIELDS, key="sign in fields")
        if rules.refusal:  # below the button: the fields stay where they are
            st.error(rules.refusal, icon=":material/error:")
        st.caption(
            "Forgot the password? An administrator can set a new one. Every sign-in is written to the audit log."
        )
    if rules.ticket:
        _post("/auth/session", {"ticket": rules.ticket})


def sign_out() -> None:
    """End the session and go to the start page."""
    _post("/auth/sign-out", {}, next_page="/")
    st.stop()


def _post(path: str, body: dict[str, str], next_page: str | None = None) -> None:
    send = st.components.v2.component("sign_in_post", js=POST)
    send(data={"path": path, "body": body, "next": next_page}, key=f"post {time.monotonic_ns()}")
