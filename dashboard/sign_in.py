"""The sign-in page: streamlit-authenticator's form, our own rules behind it, and the steps that may come after it.

As shipped, the library sets its cookie from JavaScript and keeps every user in a dictionary. Only its form is used:
what it calls on submit is replaced here by two stand-ins. That leans on its internals, so its version is pinned and
no other module knows it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import streamlit as st
import streamlit_authenticator as authenticator

from dashboard import session
from dashboard.widgets import page, script
from dashboard.widgets.second_factor import code_form, enrolment, recovery_codes
from models import account_links, sign_ins
from models.errors import AppError
from models.second_factors import Enrolment
from models.settings import settings
from models.sign_ins import Step

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


@dataclass
class _SigningIn:
    """How far this tab is; `step` is what came after the right password."""

    step: Step | None = None
    forgot: bool = False
    asked_for: str = ""  # the e-mail for which a new password was asked
    enrolment: Enrolment | None = None
    codes: list[str] = field(default_factory=list)  # recovery codes to be put away, before `ticket` is used
    ticket: str = ""


class _NoCookie:
    """Stands in for the cookie controller: no cookie is read or written from the script."""

    def get_cookie(self) -> None:
        return None

    def set_cookie(self) -> None:
        return None


class _OurRules:
    """Stands in for the authentication controller: the password is checked, and failures are counted, in models."""

    step: Step | None = None
    refusal: str | None = None

    def login(self, username: str, password: str, *_: object, **__: object) -> bool:
        if not username.strip() or not password:
            self.refusal = "Enter your e-mail and your password."
            return False
        stays = bool(st.session_state.get("stays"))
        try:
            self.step = sign_ins.check_password(username, password, address=session.address(), stays=stays)
        except AppError as refused:
            self.refusal = refused.sentence
            return False
        return True


class _Form(authenticator.Authenticate):
    def __init__(self, rules: _OurRules) -> None:  # not the library's own, which would load its cookie component
        self.path = None
        self.attrs = {"login_sleep_time": 0}
        self.cookie_controller = _NoCookie()
        self.authentication_controller = rules


def show(*, kept: str = "") -> None:
    """Draw the sign-in page; after the last step the browser trades a ticket for its cookie and reloads.

    `kept` says what awaits whoever was at work in this very tab when the session ended, and nothing of what it is.
    """
    now = _signing_in()
    if now.codes:
        _put_codes_away(now)
    elif now.step and now.step.needs == "code":
        _ask_code(now, now.step)
    elif now.step and now.step.needs == "enrol":
        _enrol(now, now.step)
    elif now.forgot:
        _ask_reset(now)
    else:
        _ask_password(now, kept)


@contextmanager
def narrow_page(title: str, note: str) -> Iterator[None]:
    """The column in which whoever is not signed in finds everything."""
    with st.container(horizontal=True, horizontal_alignment="center", key="sign_in_page"), st.container(width=380):
        st.image(STATIC / "mark.svg", width=40, alt="")
        st.title(title, anchor=False)
        st.caption(note)
        yield


def go_on(step: Step) -> None:
    """The password was right, or was chosen by a link: what comes next."""
    if step.needs is None:
        post_ticket(step.ticket)
        return
    st.session_state["signing in"] = _SigningIn(step=step)
    st.rerun()


def post_ticket(ticket: str, *, next_page: str | None = None) -> None:
    _post("/auth/session", {"ticket": ticket}, next_page)


def sign_out() -> None:
    """End the session and go to the start page."""
    _post("/auth/sign-out", {}, next_page="/")
    st.stop()


def _ask_password(now: _SigningIn, kept: str) -> None:
    rules = _OurRules()
    with narrow_page("Sign in to Appointment360", "Contact data for the revenue team. Access is by invitation."):
        if ended := _why_it_ended(kept):
            st.info(ended, icon=":material/edit_note:" if kept else ":material/timer_off:")
        _Form(rules).login(fields=LABELS, key="sign_in")
        script.run("sign_in_fields", FIELDS, key="sign in fields")
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            days = settings().stay_days
            st.checkbox(
                "Stay signed in",
                key="stays",
                help=f"For {days} days in this browser, also after you close it; sooner where nobody uses it.",
            )
            if st.button("Forgot the password?", type="tertiary"):
                now.forgot = True
                st.rerun()
        if rules.refusal:  # below the button: the fields stay where they are
            page.refusal(rules.refusal)
        st.caption("Every sign-in is written to the audit log.")
    if rules.step:
        go_on(rules.step)


def _why_it_ended(kept: str) -> str:
    """What is said to who was signed in in this browser, or was at work in this tab; else nothing."""
    unused = sign_ins.ended_unused(session.cookie_token())
    why = f", since nobody used it for {unused // timedelta(hours=1)} hours" if unused else ""
    if not kept:
        return f"Your session has ended{why}. Sign in again." if why else ""
    return f"Your session has ended{why}. Sign in again: {kept}."


def _ask_reset(now: _SigningIn) -> None:
    with narrow_page("Forgot the password?", "A link to choose a new one comes by e-mail and works for one hour."):
        with st.form("forgot", border=False):
            email = st.text_input("Work e-mail", autocomplete="username", placeholder="you@company.com")
            if st.form_submit_button("Send the link") and email.strip():
                account_links.request_reset(email, address=session.address())
                now.asked_for = email.strip()
        if now.asked_for:
            after = "a link is on its way. Look into your spam folder, too."
            if settings().smtp_host is None:
                after = "a link was made. No mail server is set here: ask an administrator for it."
            st.success(page.plain(f"If {now.asked_for} has an account, {after}"), icon=":material/mark_email_read:")
        _back("Back to sign-in")


def _ask_code(now: _SigningIn, step: Step) -> None:
    note = "The six digits that your authenticator app shows now, or one of your recovery codes."
    with narrow_page("Enter your code", note):
        code = code_form("Continue")
        if code:
            with page.refusals():
                now.ticket = sign_ins.check_code(step.ticket, code, address=session.address())
        st.caption("No app and no recovery codes left? An administrator can remove the second factor.")
        _back("Start over")
    if now.ticket:
        post_ticket(now.ticket)


def _enrol(now: _SigningIn, step: Step) -> None:
    note = "Your role asks for a second factor: a code of an app on your phone beside the password."
    with narrow_page("Set up a second factor", note):
        with page.refusals():
            now.enrolment = now.enrolment or sign_ins.enrol(step.ticket)
            if code := enrolment(now.enrolment, "Continue"):
                now.codes, now.ticket = sign_ins.confirm_enrolment(step.ticket, code, address=session.address())
                st.rerun()
        _back("Start over")


def _put_codes_away(now: _SigningIn) -> None:
    with narrow_page("Keep your recovery codes", "Each replaces the app once, should you lose it."):
        recovery_codes(now.codes)
        done = st.button("I have put them away", type="primary", width="stretch")
    if done:
        post_ticket(now.ticket)


def _back(label: str) -> None:
    if st.button(label, type="tertiary", icon=":material/arrow_back:"):
        st.session_state.pop("signing in", None)
        st.rerun()


def _signing_in() -> _SigningIn:
    now: _SigningIn = st.session_state.setdefault("signing in", _SigningIn())
    return now


def _post(path: str, body: dict[str, str], next_page: str | None = None) -> None:
    send = st.components.v2.component("sign_in_post", js=POST)
    send(data={"path": path, "body": body, "next": next_page}, key=f"post {time.monotonic_ns()}")
