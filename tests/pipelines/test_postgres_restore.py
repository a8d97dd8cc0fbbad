"""What a pg_restore says that goes on after errors."""

from pipelines.postgres_restore import faults

TOO_NEW = 'could not execute query: ERROR:  unrecognized configuration parameter "transaction_timeout"\n'
TOO_NEW += "Command was: SET transaction_timeout = 0;\n\n"
END = "pg_restore: warning: errors ignored on restore: 2\n"
OTHER = 'pg_restore: error: COPY failed for table "contacts": ERROR:  division by zero\n'


def test_a_setting_that_the_server_does_not_know_is_no_fault() -> None:
    told = f"pg_restore: error: {TOO_NEW}"
    assert faults(f"pg_restore: while INITIALIZING:\n{told}{told}{END}") is None
    between = f"pg_restore: pg_restore: error: error: {TOO_NEW}{TOO_NEW}{END}"  # by two of its processes at once
    assert faults(between) is None
    in_german = TOO_NEW.replace("unrecognized configuration parameter", "unbekannter Konfigurationsparameter")
    assert faults(f"pg_restore: error: {in_german}{END}") is None


def test_whatever_else_it_says_is_one() -> None:
    told = f"pg_restore: error: {TOO_NEW}"
    for said in (
        told,  # it did not come to its end
        f"{told}{OTHER}{END}",
        f"{OTHER}{END}",
        f"pg_restore: pg_restore: error: error: {TOO_NEW}out of memory\n{END}",
        f"{told}pg_restore: error: a worker process died unexpectedly\n",
    ):
        assert faults(said) is not None, said
    left = faults(f"{told}{OTHER}{END}")
    assert left is not None
    assert "transaction_timeout" not in left
    assert next(line for line in left.splitlines() if "error" in line.lower()) == OTHER.strip()
