"""Training, comparing and clustering with Splink on DuckDB: the same seed, the same answer."""

import hashlib
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from statistics import mean
from typing import Any

import duckdb
from splink import DuckDBAPI, Linker, SettingsCreator
from splink.clustering import cluster_pairwise_predictions_at_threshold
from splink.internals.exceptions import EMTrainingException
from splink.internals.splink_dataframe import SplinkDataFrame

from pipelines.duplicate_finder import blocking, comparisons, preparation
from pipelines.duplicate_finder.comparisons import Compared
from pipelines.duplicate_finder.description import Description

SEED = 360
FEWEST = 500  # records from which anything is learned: below, chance and the duplicates themselves distort it
SAMPLED = 3_000_000  # pairs in which chance is measured, where it is not counted
LESSONS = 1_000_000  # pairs at most that one lesson takes
USUAL = 1 / 10_000  # probability that two contacts are the same, where nothing is learned
LEARNED = 0.85  # what learning weighs; the rest is what is usual
RECALL = 0.6  # of all duplicates, the share that the proofs find
LEAST = 0.5  # probability: a pair below is none
PART = 300_000  # records that are compared at once: memory grows with it
PRIOR = "probability_two_random_records_match"
RECORDS, PAIRS, CLUSTERS = "records", "pairs", "clusters"
STEPS = ("learn", "compare", "cluster")

logging.getLogger("splink").setLevel(logging.ERROR)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Linked:
    """In the connection: PAIRS (left_id, right_id, weight in bits, probability, reasons as JSON) and CLUSTERS
    (cluster_id, id) of the records that are in one with others."""

    records: int
    pairs: int
    compared: int
    clusters: int
    digest: str


def link(
    connection: duckdb.DuckDBPyConnection,
    description: Description,
    source: str,
    *,
    apart: str | None = None,
    say: Say = lambda step: None,
) -> Linked:
    """Find the pairs of records in the table `source` that mean the same, but for those of the table `apart` (left_id,
    right_id): somebody knows better. `say` what is begun."""
    say("learn")
    records = _prepare(connection, description, source)
    api = DuckDBAPI(connection)
    known = list(comparisons.compared(description))
    registered = api.register(RECORDS)
    model = _model(registered, description, known, records)
    say("compare")
    compared = _compare(connection, Linker(registered, model, log_level=None), known, records)
    if apart:
        connection.execute(f"DELETE FROM {PAIRS} USING {apart} a WHERE {_same_pair('a')}")
    say("cluster")
    clusters = _cluster(connection, api)
    digest = hashlib.sha256(json.dumps(model, sort_keys=True).encode()).hexdigest()
    return Linked(records, _number(connection, PAIRS), compared, clusters, digest)


def _prepare(connection: duckdb.DuckDBPyConnection, description: Description, source: str) -> int:
    prepared = preparation.prepared(description, source)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE prepared AS {prepared}")
    connection.execute(f"CREATE OR REPLACE TABLE {RECORDS} AS {blocking.with_keys(description, 'prepared')}")
    connection.execute("DROP TABLE prepared")
    return _number(connection, RECORDS)


def _model(
    registered: SplinkDataFrame, description: Description, known: list[Compared], records: int
) -> dict[str, Any]:
    """Splink's settings, with what was learned from the records where there are enough of them."""
    learns = records >= FEWEST
    settings = SettingsCreator(
        link_type="dedupe_only",
        comparisons=[one.creator(by_frequency=learns) for one in known],
        blocking_rules_to_generate_predictions=[*blocking.rules(description)],
        probability_two_random_records_match=USUAL,
        retain_intermediate_calculation_columns=True,  # what each comparison weighs: the reasons
        linker_uid="duplicates",
    )
    linker = Linker(registered, settings, log_level=None)
    if not learns:
        return linker.misc.save_model_to_json()
    with suppress(ValueError):  # the proofs find more than a share of all possible pairs: what stands there is better
        linker.training.estimate_probability_two_random_records_match([*blocking.proofs(description)], recall=RECALL)
    linker.training.estimate_u_using_random_sampling(max_pairs=SAMPLED, seed=SEED)
    model = linker.misc.save_model_to_json()
    # Where nothing proves anything, one pair in a thousand records.
    model[PRIOR] = max(model[PRIOR], 2 / 1000 / records)
    taken = [found for lesson in blocking.lessons(description) if (found := _lesson(registered, model, lesson))]
    shared = _shared(registered, known)
    for place, one in enumerate(known):
        _steady(one, model["comparisons"][place], [found[place] for found in taken], shared)
    return model


def _lesson(registered: SplinkDataFrame, model: dict[str, Any], lesson: str) -> list[dict[str, Any]] | None:
    """The comparisons as they are learned from the pairs that fulfil the condition; None where nothing can be learned:
    no pair does, or a level comes to nothing. Each lesson begins with the same model, for one that fails spoils it."""
    linker = Linker(registered, model, log_level=None, validate_settings=False)
    with suppress(EMTrainingException, ValueError):
        linker.training.estimate_parameters_using_expectation_maximisation(lesson, max_pairs=LESSONS)
        learned: list[dict[str, Any]] = linker.misc.save_model_to_json()["comparisons"]
        return learned
    return None


def _shared(registered: SplinkDataFrame, known: list[Compared]) -> dict[str, float]:
    """Of each column that a level wants to be the same, the share of all pairs in which it is. It is counted: a sample
    of a millionth of the pairs holds none for an e-mail address."""
    columns = {level.same for one in known for level in one.levels if level.same}
    counted = registered.db_api.duckdb_con
    return {
        column: counted.execute(
            f"""SELECT coalesce(sum(n * (n - 1)), 0) / greatest(sum(n) * (sum(n) - 1), 1)
            FROM (SELECT count(*)::double AS n FROM {RECORDS} WHERE {column} IS NOT NULL GROUP BY {column})"""
        ).fetchall()[0][0]
        for column in sorted(columns)
    }


def _steady(
    known: Compared, comparison: dict[str, Any], lessons: list[dict[str, Any]], shared: dict[str, float]
) -> None:
    """Draw what was learned to what is usual: a level that the lessons hardly met would weigh anything."""
    usual = [level.m for level in known.levels]
    learned = [shares for lesson in lessons if (shares := _shares(lesson)) != usual]  # the others had it in their rule
    m = [
        LEARNED * mean(shares[place] for shares in learned) + (1 - LEARNED) * share if learned else share
        for place, share in enumerate(usual)
    ]
    for place, level in enumerate(_levels(comparison)):
        level["m_probability"] = m[place] / sum(m)
        level.setdefault("u_probability", min(known.levels[place].u, 1 / SAMPLED))
        if chance := shared.get(known.levels[place].same or ""):
            level["u_probability"] = chance


def _shares(comparison: dict[str, Any]) -> list[float]:
    return [level.get("m_probability", 0.0) for level in _levels(comparison)]


def _levels(comparison: dict[str, Any]) -> list[dict[str, Any]]:
    return [level for level in comparison["comparison_levels"] if not level.get("is_null_level")]


def _compare(connection: duckdb.DuckDBPyConnection, linker: Linker, known: list[Compared], records: int) -> int:
    """Make the table PAIRS, part by part; returns how many pairs were compared."""
    connection.execute(
        f"""CREATE OR REPLACE TABLE {PAIRS} (left_id BIGINT, right_id BIGINT, weight DOUBLE, probability DOUBLE,
        reasons VARCHAR)"""
    )
    compared, parts = 0, records // PART + 1
    for part in range(1, parts + 1):
        left, right = (part, parts), (1, 1)
        blocked = linker.inference.compute_blocked_pairs_for_predict_chunk(left, right)
        compared += _number(connection, blocked.physical_name)
        found = linker.inference.predict_chunk(left, right, threshold_match_probability=LEAST, warning_mode="never")
        connection.execute(f"INSERT INTO {PAIRS} {_told(known, found.physical_name, records)}")
        blocked.drop_table_from_database_and_remove_from_cache()
        found.drop_table_from_database_and_remove_from_cache()
    return compared


def _told(known: list[Compared], found: str, records: int) -> str:
    """SELECT of the pairs with the reasons: of each comparison its level in words, and the bits that it weighs."""
    reasons = ", ".join(_reason(one, by_frequency=records >= FEWEST) for one in known)
    return f"""SELECT least(unique_id_l, unique_id_r), greatest(unique_id_l, unique_id_r), match_weight,
        match_probability, to_json([{reasons}]) FROM {found}"""


def _reason(known: Compared, *, by_frequency: bool) -> str:
    words = " ".join(f"WHEN {place} THEN '{said}'" for place, said in enumerate(known.words))
    rare = by_frequency and any(level.common for level in known.levels)
    frequency = f" + coalesce(mw_tf_adj_{known.name}, 0)" if rare else ""
    return f"""{{'of': '{known.name}', 'title': '{known.title}',
        'found': CASE gamma_{known.name} {words} END, 'bits': round(mw_{known.name}{frequency}, 2)}}"""


def _cluster(connection: duckdb.DuckDBPyConnection, api: DuckDBAPI) -> int:
    """Make the table CLUSTERS; returns how many there are."""
    members = f"SELECT DISTINCT unnest([left_id, right_id]) AS id FROM {PAIRS}"
    connection.execute(f"CREATE OR REPLACE TABLE members AS {members}")
    joined = cluster_pairwise_predictions_at_threshold(
        api.register("members"),
        api.register(PAIRS),
        api,
        node_id_column_name="id",
        edge_id_column_name_left="left_id",
        edge_id_column_name_right="right_id",
    )
    connection.execute(f"CREATE OR REPLACE TABLE {CLUSTERS} AS SELECT cluster_id, id FROM {joined.physical_name}")
    counted = connection.execute(f"SELECT count(DISTINCT cluster_id) FROM {CLUSTERS}")
    return int(counted.fetchall()[0][0])


def _same_pair(other: str) -> str:
    return f"{PAIRS}.left_id = {other}.left_id AND {PAIRS}.right_id = {other}.right_id"


def _number(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])
