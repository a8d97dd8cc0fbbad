"""What the rules of web.yml find, and what they leave alone."""

import streamlit as st
from starlette.responses import HTMLResponse


def bad(value, answer, request):
    # ruleid: html-from-values
    st.markdown(value, unsafe_allow_html=True)
    # ruleid: html-from-values
    st.html(f"<b>{value}</b>")
    # ruleid: html-from-values
    HTMLResponse(f"<b>{value}</b>")
    # ruleid: a-cookie-without-its-guards
    answer.set_cookie("session", value)
    # ruleid: a-cookie-without-its-guards
    answer.set_cookie("session", value, secure=True, samesite="lax")
    # ruleid: a-cookie-never-secure
    answer.set_cookie("session", value, secure=False, httponly=True, samesite="lax")
    # ruleid: a-proxy-believed
    request.headers.get("X-Forwarded-For")
    # ruleid: a-proxy-believed
    request.headers["x-real-ip"]
    # ruleid: another-site-may-read
    answer.headers["access-control-allow-origin"] = "*"


def good(value, answer, request, secure):
    # ok: html-from-values
    st.markdown(value)
    # ok: html-from-values
    st.html("<b>fixed</b>")
    # ok: a-cookie-without-its-guards, a-cookie-never-secure
    answer.set_cookie("session", value, secure=secure, httponly=True, samesite="lax")
    # ok: a-proxy-believed
    request.headers.get("user-agent")
