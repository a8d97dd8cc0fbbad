"""Which contact does a staged row belong to, and what would change: the plan of an import, computed set-wise.

The rules of AUTO, the first that finds a contact decides:
  1  the same external id
  2  the same e-mail and the same name; and likewise whom a contact that was merged into it was known as, see merging.py
  3  neither has a name: the same e-mail, company and website
  4  only one has a name: the same e-mail and no contradicting company
  5  the same LinkedIn address
  6  a row without any of these keys belongs to the contact that it would not change at all; of several, to the one that
     holds least besides
Capitals count in external ids alone. E-mail alone is not identity: a hundred contacts may share an address. Where a
rule finds several contacts the row is ambiguous: under rule 4 it becomes a contact of its own, under the others it is
rejected with the contacts named. An address is shared under rule 4 also by the rows of the file: several that could be
one contact become contacts of their own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.contacts import staging
from models.contacts.policies import ABOUT_ADDRESS, EXTRA, Policies, everywhere
from models.contacts.table import FIELDS
from models.fields import Kind
from models.imports import Keep, MatchRule

NAME = "nullif(lower(concat_ws(' ', {0}.first_name, {0}.last_name)), '')"
UNMATCHED = "unmatched_rows"  # stands in the rules for the rows that no rule before has found a contact for
WORK_MEM = "128MB"  # of the server, while it matches: a million keys are hashed without going to disk
_NO_TARGET = "NULL::bigint AS target, NULL::smallint AS rule, NULL::text[] AS changes, NULL::bigint[] AS others"
MOST_CANDIDATES = 10  # named of an ambiguous row
SHARED_MAILBOX = 4  # the rule under which several candidates mean: a mailbox that people share


@dataclass(frozen=True)
class Comparison:
    """How the values of staged rows `s` meet those of contacts `c`, with `joins` beside them.

    `meanings` is a copy of the view industry_meanings, where an industry is mapped: a view of its kind is not read by
    several processes.
    """

    mapped: tuple[str, ...]
    policies: Policies
    meanings: str | None
    folded: bool = False  # without regard to capitals

    def changes(self) -> str:
        """SQL for the text[] of what the row would change, as `field=value`: what contacts hold now, as staging.HELD
        writes it down; NULL when nothing."""
        differing = {name: self._differs(name) for name in self.mapped} | {"extra": self._extra_differs()}
        if "email" in self.mapped:
            differing |= {name: self._about_address_differs(name) for name in ABOUT_ADDRESS}
        named = ", ".join(
            f"CASE WHEN {differs} THEN {staging.HELD.format(name=name, value=self._ours_as_text(name))} END"
            for name, differs in differing.items()
            if differs != "false"
        )
        return f"CASE WHEN {self.differs()} THEN array_remove(ARRAY[{named}]::text[], NULL) END"

    def differs(self) -> str:
        """SQL for whether the row would change anything."""
        conditions = {self._differs(name) for name in self.mapped} | {self._extra_differs()}
        return " OR ".join(f"({one})" for one in sorted(conditions - {"false"})) or "false"

    def joins(self) -> str:
        """SQL for the owner `u` of the contact, and what `n` the row's industry means."""
        owner = "LEFT JOIN users u ON u.id = c.owner_id"
        return f"{owner} LEFT JOIN {self.meanings} n ON n.key = lower(s.industry)" if self.meanings else owner

    def _ours(self, name: str) -> str:
        return {Kind.INDUSTRY: "c.industry_id", Kind.OWNER: "u.email"}.get(FIELDS[name].kind, f"c.{name}")

    def _ours_as_text(self, name: str) -> str:
        return f"{self._ours(name) if name in FIELDS else 'c.extra'}::text"

    def _differs(self, name: str) -> str:
        if name in ABOUT_ADDRESS and "email" in self.mapped:
            return self._about_address_differs(name)
        ours = self._ours(name)
        if FIELDS[name].kind is Kind.INDUSTRY:
            other = f"(n.id IS NULL OR n.id IS DISTINCT FROM {ours})"
        elif self.folded:
            other = f"lower(s.{name}::text) IS DISTINCT FROM lower({ours}::text)"
        else:
            other = f"s.{name} IS DISTINCT FROM {ours}"
        return _all(f"s.{name} IS NOT NULL", other, self.policies.wins(name, ours, "c"))

    def _about_address_differs(self, name: str) -> str:
        said = f"s.{name}" if name in self.mapped else None
        return f"({self.policies.value_about_address(name, said, 'c')}) IS DISTINCT FROM c.{name}"

    def _extra_differs(self) -> str:
        ours, theirs = "coalesce(c.extra, '{}')", "s.extra::jsonb"
        if self.policies.of(EXTRA) is Keep.NEVER:
            return "false"
        if self.folded:
            ours, theirs = (f"lower({one}::text)::jsonb" for one in (ours, theirs))
        return f"s.extra IS NOT NULL AND ({self.policies.merged_extra(ours, theirs, 'c')}) <> {ours}"


def _all(*conditions: str) -> str:
    """SQL for all of them; plainly false where one is."""
    return "false" if "false" in conditions else " AND ".join(one for one in conditions if one != "true")


def plan(
    session: Session,
    import_id: int,
    *,
    mapped: tuple[str, ...],
    match: MatchRule,
    policies: Policies,
    temporary: bool = False,
) -> str:
    """Make the plan table, the import's own or a temporary one, and return its full name: a line for each staged row.

    Actions: create, update, unchanged, duplicate (another row of the file means the same contact), ambiguous.
    """
    rows = f"{staging.SCHEMA}.{staging.rows_table(import_id)}"
    if match is MatchRule.NONE or not session.scalar(text("SELECT EXISTS (SELECT FROM contacts)")):
        planned = f"SELECT line, 'create' AS action, {_NO_TARGET} FROM {rows}"
        return staging.create_plan(session, import_id, planned, temporary=temporary)
    comparison = Comparison(mapped, policies, _copied_meanings(session, import_id) if "industry" in mapped else None)
    session.execute(text(f"SELECT set_config('work_mem', '{WORK_MEM}', true)"))
    # How many there are and how many differ is all that the planner must know of tables that live a few seconds.
    session.execute(text("SELECT set_config('default_statistics_target', '10', true)"))
    session.execute(text(f"ANALYZE {rows} (line, {', '.join(staging.KEYS)})"))
    found = f"{staging.SCHEMA}.candidates_{import_id}"
    _find_candidates(session, import_id, found, match, comparison)
    verdicts = f"{staging.SCHEMA}.verdicts_{import_id}"
    session.execute(text(f"DROP TABLE IF EXISTS {verdicts}"))
    session.execute(text(f"CREATE UNLOGGED TABLE {verdicts} {staging.UNWATCHED} AS {_verdicts(found)}"))
    session.execute(text(f"ANALYZE {verdicts}"))
    name = staging.create_plan(session, import_id, _planned(rows, verdicts, comparison), temporary=temporary)
    session.execute(text(f"DROP TABLE {', '.join(filter(None, (found, verdicts, comparison.meanings)))}"))
    return name


def _copied_meanings(session: Session, import_id: int) -> str:
    copied = f"{staging.SCHEMA}.meanings_{import_id}"
    session.execute(text(f"DROP TABLE IF EXISTS {copied}"))
    meant = "SELECT key, id FROM industry_meanings"
    session.execute(text(f"CREATE UNLOGGED TABLE {copied} {staging.UNWATCHED} AS {meant}"))
    session.execute(text(f"ANALYZE {copied}"))
    return copied


def _find_candidates(session: Session, import_id: int, found: str, match: MatchRule, comparison: Comparison) -> None:
    """Make the table `found` (line, id, rule), rule by rule: a row that one found is none for the next.

    In most files the first or second rule finds them all, and the others cost nothing. No temporary table: only others
    are read by several processes at once.
    """
    keys = ", ".join(staging.KEYS)
    session.execute(text(f"DROP TABLE IF EXISTS {found}, pg_temp.unmatched"))
    into = create = f"CREATE UNLOGGED TABLE {found} (line, id, rule) {staging.UNWATCHED} AS"
    # As a column, so that the planner knows how many there are.
    rows = f"{staging.SCHEMA}.{staging.rows_table(import_id)}"
    source = f"(SELECT line, {keys}, lower(person_linkedin_url) AS linkedin_key FROM {rows})"
    for rule in _rules(session, import_id, match, comparison):
        if not session.scalar(text(f"SELECT EXISTS (SELECT FROM {source} s WHERE {rule.concerns})")):
            continue
        matched = session.execute(text(f"{into} {rule.finding.replace(UNMATCHED, source)}"))
        into = f"INSERT INTO {found}"
        # SQLAlchemy types what execute gives as Result, which has no rowcount; that of a statement in text has one.
        if matched.rowcount == 0 and source == "pg_temp.unmatched":  # type: ignore[attr-defined]
            continue
        session.execute(text(f"ANALYZE {found}"))
        left = f"SELECT * FROM {source} s WHERE NOT EXISTS (SELECT FROM {found} k WHERE k.line = s.line)"
        session.execute(text("DROP TABLE IF EXISTS pg_temp.still_unmatched"))
        session.execute(text(f"CREATE TEMPORARY TABLE still_unmatched ON COMMIT DROP AS {left}"))
        session.execute(text("DROP TABLE IF EXISTS pg_temp.unmatched"))
        session.execute(text("ALTER TABLE pg_temp.still_unmatched RENAME TO unmatched"))
        if not session.scalar(text("SELECT EXISTS (SELECT FROM pg_temp.unmatched)")):
            return
        session.execute(text("ANALYZE pg_temp.unmatched"))
        source = "pg_temp.unmatched"
    if into == create:
        session.execute(text(f"{create} SELECT NULL::bigint, NULL::bigint, NULL::integer WHERE false"))


@dataclass(frozen=True)
class _Rule:
    """`finding` is a SELECT of (line, id, rule): every contact that the rule finds for a row of UNMATCHED; `concerns`
    the condition on such a row `s` without which it finds none."""

    concerns: str
    finding: str


def _rules(session: Session, import_id: int, match: MatchRule, comparison: Comparison) -> Iterator[_Rule]:
    rows = f"{staging.SCHEMA}.{staging.rows_table(import_id)}"
    staged_name, contact_name = NAME.format("s"), NAME.format("c")
    external = _Rule(
        "s.contact_id IS NOT NULL",
        f"SELECT s.line, c.id, 1 FROM {UNMATCHED} s JOIN contacts c ON c.contact_id = s.contact_id",
    )
    linkedin = _Rule(
        "s.linkedin_key IS NOT NULL",
        f"SELECT s.line, c.id, 5 FROM {UNMATCHED} s JOIN contacts c ON lower(c.person_linkedin_url) = s.linkedin_key",
    )
    same_name = _Rule(
        f"s.email IS NOT NULL AND {staged_name} IS NOT NULL",
        f"""SELECT s.line, c.id, 2 FROM {UNMATCHED} s
        JOIN contacts c ON c.email = s.email AND {contact_name} = {staged_name}""",
    )
    merged_external = _merged("a.external_id = s.contact_id", "s.contact_id IS NOT NULL")
    merged_name = _merged(f"a.email = s.email AND a.name = {staged_name}", same_name.concerns)
    merged_email = _merged("a.email = s.email", "s.email IS NOT NULL")
    merged_linkedin = _merged("a.linkedin = s.linkedin_key", "s.linkedin_key IS NOT NULL")
    nameless = _Rule(
        f"s.email IS NOT NULL AND {staged_name} IS NULL",
        f"""SELECT s.line, c.id, 3 FROM {UNMATCHED} s
        JOIN contacts c ON c.email = s.email AND coalesce(lower(c.company), '') = coalesce(lower(s.company), '')
                       AND coalesce(lower(c.website), '') = coalesce(lower(s.website), '')
        WHERE {staged_name} IS NULL AND {contact_name} IS NULL""",
    )
    into_nameless = _Rule(
        same_name.concerns, _shared_mailbox(same_name.concerns, f"{contact_name} IS NULL", rivals=None)
    )
    # Where one named row of the file has the address, the nameless one was its duplicate; here there are several.
    into_named = _Rule(
        nameless.concerns, _shared_mailbox(nameless.concerns, f"{contact_name} IS NOT NULL", rivals=rows)
    )
    any_email = _Rule(
        "s.email IS NOT NULL", f"SELECT s.line, c.id, 2 FROM {UNMATCHED} s JOIN contacts c ON c.email = s.email"
    )
    yield from {
        MatchRule.AUTO: [
            external,
            same_name,
            merged_external,
            merged_name,
            nameless,
            into_nameless,
            into_named,
            linkedin,
            merged_linkedin,
        ],
        MatchRule.EMAIL: [any_email, merged_email],
        MatchRule.EXTERNAL: [external, merged_external],
        MatchRule.LINKEDIN: [linkedin, merged_linkedin],
    }[match]
    if match is MatchRule.AUTO:
        yield _keyless(session, import_id, comparison)


def _merged(known_as: str, concerns: str) -> _Rule:
    """The contact into which one was merged that was `known_as` a row is: the same file brings nobody back. It counts
    as rule 2. A contact may have several aliases of one kind."""
    living = "JOIN contact_aliases a ON {} JOIN contacts c ON c.id = a.survivor_id"
    found = f"SELECT DISTINCT s.line, c.id, 2 FROM {UNMATCHED} s {living.format(known_as)} WHERE {concerns}"
    return _Rule(f"{concerns} AND EXISTS (SELECT FROM contact_aliases)", found)


def _shared_mailbox(row: str, contact: str, *, rivals: str | None) -> str:
    """Rule 4's SELECT for the rows `s` and contacts `c` of those conditions; not for a row whose contact could also be
    that of a named row in the table `rivals`.

    Thousands of contacts may share an address, and as many rows. So two for each address and company stand for all of
    them, which tells one from several; and no join is on the address alone.
    """

    def unrivalled(by: str) -> str:
        named = f"o.email = s.email AND {NAME.format('o')} IS NOT NULL AND {by}"
        return f"AND NOT EXISTS (SELECT FROM {rivals} o WHERE {named})" if rivals else ""

    company = "coalesce(lower(c.company), '')"
    found = f"SELECT s.line, p.id, {SHARED_MAILBOX} FROM {UNMATCHED} s JOIN pool p ON p.email = s.email"
    besides = unrivalled("o.company IS NULL") + unrivalled("lower(o.company) = lower(s.company)")
    return f"""WITH pool AS MATERIALIZED (
        SELECT c.id, c.email, {company} AS company,
               row_number() OVER (PARTITION BY c.email ORDER BY c.id) AS of_email,
               row_number() OVER (PARTITION BY c.email, {company} ORDER BY c.id) AS of_company
        FROM contacts c WHERE c.email IN (SELECT s.email FROM {UNMATCHED} s WHERE {row}) AND {contact}
    )
    {found} AND p.of_email <= 2 WHERE {row} AND s.company IS NULL {unrivalled("true")}
    UNION ALL
    {found} AND p.of_company <= 2 AND p.company = lower(s.company) WHERE {row} {besides}
    UNION ALL
    {found} AND p.of_company <= 2 AND p.company = '' WHERE {row} AND s.company IS NOT NULL {besides}"""


WITHOUT_KEYS = "{0}.contact_id IS NULL AND {0}.email IS NULL AND {0}.person_linkedin_url IS NULL"


def _keyless(session: Session, import_id: int, comparison: Comparison) -> _Rule:
    """Rule 6. Each row is looked up by the most telling value it has: ten thousand branches of one company, told apart
    by their addresses, or by their phones where an address is missing, are else compared each with each."""
    rows = f"{staging.SCHEMA}.{staging.rows_table(import_id)}"
    most_telling = _most_telling(session, import_id, comparison.mapped)
    cases = " ".join(f"WHEN s.{name} IS NOT NULL THEN '{name}'" for name in most_telling)
    telling = f"CASE {cases} ELSE '' END" if cases else "''"
    bare = f"SELECT s.*, {telling} AS telling FROM {rows} s WHERE {WITHOUT_KEYS.format('s')}"
    used = session.scalars(text(f"SELECT DISTINCT telling FROM ({bare}) bare")).all()
    same = replace(comparison, policies=everywhere(Keep.THEIRS), folded=True)
    held = ", ".join(f"c.{FIELDS[name].column}" for name in FIELDS)

    def found(name: str) -> str:
        shared = [f"coalesce({NAME.format('c')}, '') = coalesce({NAME.format('s')}, '')"]
        shared.append("coalesce(lower(c.company), '') = coalesce(lower(s.company), '')")
        if name:
            shared.append(f"lower(c.{FIELDS[name].column}::text) = lower(s.{name}::text)")
        return f"""(SELECT DISTINCT ON (s.line) s.line, c.id, 6 FROM bare s JOIN known c ON {" AND ".join(shared)}
            {same.joins()}
            WHERE s.telling = '{name}' AND ({same.differs()}) IS NOT TRUE
            ORDER BY s.line, num_nonnulls({held}), length(coalesce(c.extra, '{{}}')::text), c.id)"""

    known = f"SELECT * FROM contacts c WHERE {WITHOUT_KEYS.format('c')}"
    return _Rule(
        WITHOUT_KEYS.format("s"),
        f"WITH bare AS MATERIALIZED ({bare}), known AS MATERIALIZED ({known}) "
        + " UNION ALL ".join(found(name) for name in used or [""]),
    )


def _most_telling(session: Session, import_id: int, mapped: tuple[str, ...]) -> list[str]:
    """The fields of the staged rows, those with the most different values first."""
    names = [name for name in mapped if FIELDS[name].kind not in (Kind.INDUSTRY, Kind.OWNER) and name != "company"]
    if not names:
        return []
    table = staging.rows_table(import_id)
    session.execute(text(f"ANALYZE {staging.SCHEMA}.{table} ({', '.join(names)})"))
    found = session.scalars(
        text(
            """SELECT attname FROM pg_stats JOIN pg_class ON oid = to_regclass(schemaname || '.' || tablename)
            WHERE schemaname = :schema AND tablename = :table AND attname = ANY(:names)
            ORDER BY CASE WHEN n_distinct < 0 THEN -n_distinct * reltuples ELSE n_distinct END DESC, attname"""
        ),
        {"schema": staging.SCHEMA, "table": table, "names": names},
    )
    return list(found)


def _verdicts(found: str) -> str:
    """SELECT of (line, rule, id, action) from candidates: what becomes of each row for which there are any.

    A row's candidates all come from one rule.
    """
    return f"""
    WITH best AS (
        SELECT line, min(rule) AS rule, min(id) AS id, count(*) AS contacts FROM {found} GROUP BY line
    ),
    -- Several rows may mean one contact: the one that the stronger rule found keeps it, then the earlier line.
    contested AS (
        SELECT id, contacts > 1 AS several FROM best GROUP BY 1, 2 HAVING count(*) > 1
    ),
    claim AS (
        SELECT line, rule, id, contacts,
               row_number() OVER (PARTITION BY id, contacts > 1 ORDER BY rule, line) AS place,
               count(*) OVER (PARTITION BY id, contacts > 1, rule) AS rivals
        FROM best WHERE (id, contacts > 1) IN (TABLE contested)
        UNION ALL
        SELECT line, rule, id, contacts, 1, 1 FROM best WHERE (id, contacts > 1) NOT IN (TABLE contested)
    ),
    -- Those that people are shown; thousands may share a key.
    ambiguous AS (
        SELECT line, array_agg(id ORDER BY id) AS others FROM (
            SELECT line, id, row_number() OVER (PARTITION BY line ORDER BY id) AS place FROM {found}
            WHERE line IN (SELECT line FROM best WHERE contacts > 1 AND rule <> {SHARED_MAILBOX})
        ) candidates
        WHERE place <= {MOST_CANDIDATES} GROUP BY line
    )
    SELECT line, rule, id, others,
           CASE WHEN contacts > 1 AND rule <> {SHARED_MAILBOX} THEN 'ambiguous'
                WHEN rule = {SHARED_MAILBOX} AND (contacts > 1 OR place > 1 OR rivals > 1) THEN 'create'
                WHEN place > 1 THEN 'duplicate'
                ELSE 'match' END AS action
    FROM claim LEFT JOIN ambiguous USING (line)"""


def _planned(rows: str, verdicts: str, comparison: Comparison) -> str:
    """SELECT from verdicts to plan: what each row does, and the fields that it changes."""
    return f"""
    WITH compared AS (
        SELECT s.line, v.action, v.id, v.rule, v.others,
               CASE WHEN v.action = 'match' THEN {comparison.changes()} END AS changes
        FROM {rows} s
        LEFT JOIN {verdicts} v ON v.line = s.line
        LEFT JOIN contacts c ON c.id = v.id AND v.action = 'match'
        {comparison.joins()}
    )
    SELECT line,
           CASE WHEN action = 'match' THEN CASE WHEN changes IS NULL THEN 'unchanged' ELSE 'update' END
                ELSE coalesce(action, 'create') END AS action,
           CASE WHEN action <> 'create' THEN id END AS target,
           rule,
           changes,
           others
    FROM compared"""
