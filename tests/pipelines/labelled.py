"""Tables of which is known what is a duplicate of what, and how well the finder does with them."""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipelines.duplicate_finder import linking
from pipelines.duplicate_finder.description import Described, Description, Meaning
from pipelines.duplicate_finder.linking import CLUSTERS, Linked

TRUTH = "truth"  # the column that says which records are the same; the finder does not see it
_READ = "SELECT {} FROM read_csv('{}', header = true, all_varchar = true, normalize_names = true)"


def described(**fields: Meaning) -> Description:
    return Description("id", tuple(Described(name, meaning, name) for name, meaning in fields.items()))


FAKE_1000 = described(
    first_name=Meaning.FIRST_NAME, surname=Meaning.LAST_NAME, dob=Meaning.DATE, city=Meaning.PLACE, email=Meaning.EMAIL
)
FEBRL = described(
    given_name=Meaning.FIRST_NAME, surname=Meaning.LAST_NAME, street_number=Meaning.CODE, address_1=Meaning.ADDRESS,
    suburb=Meaning.PLACE, postcode=Meaning.CODE, date_of_birth=Meaning.DATE, soc_sec_id=Meaning.KEY,
)  # fmt: skip
CSV_EXAMPLE = described(
    site_name=Meaning.ORGANISATION, address=Meaning.ADDRESS, zip=Meaning.CODE, phone=Meaning.PHONE,
    email_address=Meaning.EMAIL,
)  # fmt: skip


@dataclass(frozen=True)
class Score:
    """Of pairs within clusters: the share of those found that are true, and of the true ones that were found."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        return 2 * self.precision * self.recall / (self.precision + self.recall)


def fake_1000(folder: Path) -> duckdb.DuckDBPyConnection:
    """Whose column `cluster` is the truth: its file of labels holds pairs that somebody looked at, and lacks others."""
    return table(_READ.format("unique_id::bigint AS id, _cluster AS truth, *", folder / "dedupe/fake_1000.csv"))


def febrl3(folder: Path) -> duckdb.DuckDBPyConnection:
    numbered = "row_number() OVER () AS id, split_part(rec_id, '-', 2) AS truth, *"
    return table(_READ.format(numbered, folder / "dedupe/febrl3.csv"))


def csv_example(folder: Path) -> duckdb.DuckDBPyConnection:
    chosen = "id::bigint AS id, true_id AS truth, * EXCLUDE (id)"
    return table(_READ.format(chosen, folder / "dedupe/csv_example_input_with_true_ids.csv"))


def table(query: str) -> duckdb.DuckDBPyConnection:
    """A database with the table `source`."""
    connection = duckdb.connect()
    connection.execute(f"CREATE TABLE source AS {query}")
    return connection


def linked(connection: duckdb.DuckDBPyConnection, description: Description) -> tuple[Linked, Score]:
    found = linking.link(connection, description, "source")
    alone = f"SELECT s.id, coalesce(c.cluster_id, -s.id - 1) AS cluster FROM source s LEFT JOIN {CLUSTERS} c USING (id)"
    return found, score(connection, alone)


def by_email(connection: duckdb.DuckDBPyConnection, column: str) -> Score:
    """What the same e-mail address alone would have found."""
    return score(connection, f"SELECT id, coalesce(lower({column}), id::varchar) AS cluster FROM source")


def score(connection: duckdb.DuckDBPyConnection, clustered: str) -> Score:
    pairs = "SELECT coalesce(sum(n * (n - 1) / 2), 0) FROM (SELECT count(*) AS n FROM both_known GROUP BY {})"
    counted = ", ".join(f"({pairs.format(by)})" for by in ("truth, cluster", "cluster", "truth"))
    right, found, true = connection.execute(
        f"WITH both_known AS (SELECT truth, cluster FROM ({clustered}) JOIN source USING (id)) SELECT {counted}"
    ).fetchall()[0]
    return Score(right / found if found else 1.0, right / true)
