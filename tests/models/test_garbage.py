"""Looking for garbage in cycles: seldom in commands, and never in what a running process has loaded."""

import subprocess
import sys

# What stays when a process ends is looked through once more: a cycle tells whether it was.
TELLS = """
import gc
from models import garbage

class Told:
    def __del__(self):
        print("looked through")

def cycle():
    told = Told()
    told.itself = told
"""


def printed(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", TELLS + program], capture_output=True, text=True, check=True)
    return done.stdout


def test_without_a_word_python_looks_through_all_at_the_end() -> None:
    assert printed("cycle()") == "looked through\n"


def test_a_command_does_not_at_its_end_and_seldom_before() -> None:
    ended = "garbage.seldom_sought(); cycle(); print(gc.get_threshold()[0] == garbage.YOUNG, gc.isenabled())"
    assert printed(ended) == "True True\n"


def test_a_command_still_does_when_much_came_and_went() -> None:
    much = "garbage.seldom_sought(); cycle(); kept = [[] for _ in range(2 * garbage.YOUNG)]"
    assert printed(much) == "looked through\n"


def test_a_running_process_leaves_out_what_it_loaded_and_nothing_that_comes() -> None:
    running = "cycle(); garbage.not_sought_in_what_is_loaded(); gc.collect(); print('loaded'); cycle(); gc.collect()"
    assert printed(running) == "loaded\nlooked through\n"


def test_a_process_that_runs_on_looks_seldom_while_it_loads_and_then_as_usual() -> None:
    begins = "usual = gc.get_threshold(); garbage.seldom_sought_while_loading(); cycle(); loading = gc.get_threshold()"
    runs = "garbage.not_sought_in_what_is_loaded(); print(loading[0] == garbage.YOUNG, gc.get_threshold() == usual)"
    assert printed(f"{begins}; {runs}") == "True True\n"


def test_duckdb_finds_nothing_left_to_complain_of() -> None:
    loaded = "import duckdb; garbage.not_sought_in_what_is_loaded(); duckdb.connect().execute('SELECT 1').fetchall()"
    done = subprocess.run([sys.executable, "-c", TELLS + loaded], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
