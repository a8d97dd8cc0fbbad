"""What the rules of calls.yml find, and what they leave alone."""

import asyncio
import os
import pickle
import shutil
import ssl
import subprocess

import httpx
import yaml


def bad(name, archive, context):
    # ruleid: a-shell-reads-it
    subprocess.run(f"pg_dump {name}", shell=True, check=True)
    # ruleid: a-shell-reads-it
    os.system(name)
    # ruleid: a-shell-reads-it
    asyncio.create_subprocess_shell(name)
    # ruleid: code-out-of-data
    yaml.load(name, yaml.Loader)
    # ruleid: code-out-of-data
    pickle.loads(name)
    # ruleid: code-out-of-data
    eval(name)
    # ruleid: tls-without-its-check
    httpx.get(name, verify=False)
    # ruleid: tls-without-its-check
    context.verify_mode = ssl.CERT_NONE
    # ruleid: tls-without-its-check
    context.check_hostname = False
    # ruleid: a-redirect-followed
    httpx.get(name, follow_redirects=True)
    # ruleid: an-archive-unpacked-by-its-own-paths
    archive.extractall("/srv")
    # ruleid: an-archive-unpacked-by-its-own-paths
    shutil.unpack_archive(name)


def good(name, archive):
    # ok: a-shell-reads-it
    subprocess.run(["pg_dump", name], check=True)
    # ok: code-out-of-data
    yaml.safe_load(name)
    # ok: tls-without-its-check
    httpx.get(name, verify="/etc/ssl/own.pem")
    # ok: a-redirect-followed
    httpx.get(name)
    # ok: an-archive-unpacked-by-its-own-paths
    archive.open(name)
