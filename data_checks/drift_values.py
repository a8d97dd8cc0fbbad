"""What stands out about the values of an import: their lengths and sizes, what never came before, what has most, and
what no longer fits together."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import ceil
from typing import Any

from data_checks.drift_shares import FEWEST_ROWS, Side, distance, finding, weights
from data_checks.drift_words import before, percent, short
from data_checks.measures import by_chance, joined, proportions_differ, stability_index
from models.contacts.table import FIELDS
from models.fields import Field, Kind
from models.import_findings import Finding
from models.import_profiles import LENGTHS, Profile

FEWEST_VALUES = 50
FEW_OF_MANY = 5  # times as many values as different ones: then a field has few
MANY_OF_ALL = 0.5  # of the values are different ones: then it has many
LEAST_HELD = 0.15  # of the values in which another one stands, before its absence says anything
GROWN = 0.05  # of the values that a bucket has more than before, for its rows to be shown
EXAMPLES = 10
COUNTED = (Kind.WHOLE, Kind.MONEY)

Column = Mapping[str, Any]
Counts = dict[int, float]


def shapes(side: Side) -> Iterator[Finding]:
    """Texts of other lengths, numbers of another size, dates of other years."""
    for name in side.now.columns:
        if found := _shape(FIELDS[name], side.now, side.having(name)):
            yield found


def sizes(side: Side) -> Iterator[Finding]:
    """Of `shapes` what also tells something beside imports of other sources: the numbers."""
    for name in side.now.columns:
        if FIELDS[name].kind in COUNTED and (found := _shape(FIELDS[name], side.now, side.having(name))):
            yield found


def _shape(one: Field, now: Profile, having: Sequence[Profile]) -> Finding | None:
    limit, ours = one.drift.shape, _counts(now.columns[one.name])
    known = [counts for profile in having if sum((counts := _counts(profile.columns[one.name])).values()) > 0]
    together = _together(known)
    if limit is None or min(sum(ours.values()), sum(together.values())) < FEWEST_VALUES:
        return None
    index = stability_index(ours, together)
    if index <= by_chance(ours, together):
        return None
    singles = [counts for counts in known if sum(counts.values()) >= FEWEST_VALUES]
    nearest = min([index, *(stability_index(ours, counts) for counts in singles)])
    if nearest < limit:
        return None
    buckets = joined(ours, together)
    return finding(
        f"{one.name}_shape", one.name, nearest / limit, _shape_sentence(one, ours, together, having),
        index=round(index, 3),
        bins=[
            [_bucket(one.kind, begin, end), theirs, own]
            for (begin, own, theirs), end in zip(buckets, [*(begin for begin, *_ in buckets[1:]), None], strict=True)
        ],
        rows={"of": "sizes", "field": one.name, "between": _grown(one.kind, buckets)},
    )  # fmt: skip


def _shape_sentence(one: Field, ours: Counts, theirs: Counts, having: Sequence[Profile]) -> str:
    here, there = (_around(one.kind, _middle(counts)) for counts in (ours, theirs))
    what = {
        Kind.DATE: ("is of other years", "year {}"),
        Kind.LIST: ("has another number of entries", "{} of them"),
        **dict.fromkeys(COUNTED, ("is of another size", "{}")),
    }.get(one.kind, ("is of other lengths", "{} characters"))
    if here == there:
        return f"{one.title} {what[0]} than {before(having)}: the middle is the same, the spread is not."
    in_words = [what[1].format(number) for number in (here, there)]
    return f"{one.title} {what[0]}: {in_words[0]} in the middle; {before(having)} {in_words[1]}."


def _counts(column: Column) -> Counts:
    return {int(bucket): float(number) for bucket, number in column.get("shape", ())}


def _together(known: Sequence[Counts]) -> Counts:
    summed: Counts = {}
    of_each = [(0.0, sum(counts.values())) for counts in known]
    for counts, weight in zip(known, weights(of_each), strict=True):
        for bucket, number in counts.items():
            summed[bucket] = summed.get(bucket, 0.0) + number * weight
    return summed


def _middle(counts: Counts) -> int:
    """The bucket in which the median lies."""
    half, passed = sum(counts.values()) / 2, 0.0
    for bucket in sorted(counts):
        passed += counts[bucket]
        if passed >= half:
            return bucket
    return 0


def _number(bucket: int) -> float:
    """Where the bucket of a number begins."""
    return 0.0 if bucket == -1 else 10 ** (bucket / 2)


def _value(kind: Kind, bucket: int) -> str:
    if kind in COUNTED:
        return "less than zero" if bucket < -1 else short(_number(bucket))
    return str(bucket)


def _around(kind: Kind, bucket: int) -> str:
    """What the values of the bucket are: of numbers and lengths only the limits are known."""
    if kind in COUNTED:
        if bucket < 0:
            return "less than zero" if bucket < -1 else "less than 1"
        begin, end = _number(bucket), _number(bucket + 1)
        return f"{short(ceil(begin))} to {short(end if end > 1000 else ceil(end) - 1)}"
    if kind in (Kind.DATE, Kind.LIST):
        return str(bucket)
    following = next((limit - 1 for limit in LENGTHS if limit > bucket), None)
    if following is None:
        return f"{bucket} or more"
    return str(bucket) if following == bucket else f"{bucket} to {following}"


def _bucket(kind: Kind, begin: int, end: int | None) -> str:
    first = _value(kind, begin)
    if end is None:
        return f"{first}+"
    last = _value(kind, end) if kind in COUNTED else _value(kind, end - 1)
    return first if first == last else f"{first}–{last}"


def _grown(kind: Kind, buckets: Sequence[tuple[int, float, float]]) -> list[list[float | None]]:
    """[from, to) of the buckets that have clearly more of the values than before."""
    limits: list[float | None] = []
    for begin, *_ in buckets:
        counted = None if begin < -1 else _number(begin)
        limits.append(counted if kind in COUNTED else float(begin))
    if buckets and kind in COUNTED and buckets[0][0] < 0:
        limits[0] = None
    spans = [*pairwise(limits), (limits[-1], None)]
    return [[*span] for span, (_, own, theirs) in zip(spans, buckets, strict=True) if own - theirs >= GROWN]


def unknown(side: Side) -> Iterator[Finding]:
    """Values that never came, in a field that has few different ones."""
    for name, column in side.now.columns.items():
        limit, having = FIELDS[name].drift.new, side.having(name)
        filled = [one for one in having if one.columns[name]["sampled"]]
        if limit is None or not filled or not all(_has_few(one.columns[name]) for one in filled):
            continue
        if column["sampled"] < FEWEST_ROWS or sum(one.columns[name]["sampled"] for one in filled) < FEWEST_ROWS:
            continue
        if found := _unknown(FIELDS[name], column, filled, limit):
            yield found


def _unknown(one: Field, column: Column, filled: Sequence[Profile], limit: float) -> Finding | None:
    columns = [profile.columns[one.name] for profile in filled]
    if "values" not in column:
        most = max(earlier["different"] for earlier in columns)
        if column["different"] < MANY_OF_ALL * column["sampled"]:
            return None
        sentence = f"{one.title} has {column['different']:,} different values; {before(filled)} it had at most {most}."
        return finding(f"{one.name}_unknown", one.name, 2.0, sentence, rows={"of": "filled", "field": one.name})
    share, new = _novelty(column, columns)
    # Where each import before brought values of its own, another one that does is none.
    usual = max((_novelty(ours, columns[place + 1 :])[0] for place, ours in enumerate(columns[:-1])), default=0.0)
    of_before = sum(earlier["sampled"] for earlier in columns)
    if share - usual < limit or not proportions_differ(share * column["sampled"], column["sampled"], 0, of_before):
        return None
    values = "a value" if len(new) == 1 else f"{len(new)} values"
    sentence = f"{one.title} has {values} that never came before, in {percent(share)} of the filled rows."
    return finding(
        f"{one.name}_unknown", one.name, (share - usual) / limit, sentence, now=share, before=usual,
        examples=new[:EXAMPLES], rows={"of": "values", "field": one.name, "values": [value for value, _ in new]},
    )  # fmt: skip


def _has_few(column: Column) -> bool:
    return "values" in column and column["different"] * FEW_OF_MANY <= column["sampled"]


def _novelty(column: Column, earlier: Sequence[Column]) -> tuple[float, list[list[Any]]]:
    """The share of the values that none of the earlier columns has, and those values."""
    known = {str(value).lower() for one in earlier for value, _ in one.get("values", ())}
    new = [[value, number] for value, number in column.get("values", ()) if str(value).lower() not in known]
    return sum(number for _, number in new) / column["sampled"] if column["sampled"] else 0.0, new


def leading(side: Side) -> Iterator[Finding]:
    """One value, or one domain of e-mail addresses, that suddenly has most."""
    for name, column in side.now.columns.items():
        limit = FIELDS[name].drift.most
        part = "domains" if FIELDS[name].kind is Kind.EMAIL else "values"
        having = [one for one in side.having(name) if one.columns[name]["sampled"] >= FEWEST_ROWS]
        if limit is None or not column.get(part) or not having or column["sampled"] < FEWEST_ROWS:
            continue
        columns = [one.columns[name] for one in having]
        if part == "values" and not all(_has_few(one) for one in [column, *columns]):
            continue
        value, now, then = _rise(column, columns, part)
        usual = max((_excess(ours, columns[place + 1 :], part) for place, ours in enumerate(columns[:-1])), default=0.0)
        far = now - then - usual
        if far < limit or (part == "values" and then == 0):  # one that never came is told of as such
            continue
        what = f"{FIELDS[name].title}: one {'domain' if part == 'domains' else 'value'} has {percent(now)}"
        sentence = f"{what}; {before(having)} it had {percent(then)}."
        chosen = {"of": part, "field": name, "values": [value]}
        yield finding(
            f"{name}_leading", name, far / limit, sentence, now=now, before=then,
            examples=[[value, round(now * column["sampled"])]], rows=chosen,
        )  # fmt: skip


def _rise(column: Column, earlier: Sequence[Column], part: str) -> tuple[str, float, float]:
    """The value that has risen most above the most it ever had, its share, and that."""
    shares = [_shares(one, part) for one in earlier]
    own = _shares(column, part)
    risen = max(own, key=lambda value: own[value] - max(one.get(value, 0.0) for one in shares))
    return risen, own[risen], max(one.get(risen, 0.0) for one in shares)


def _excess(column: Column, earlier: Sequence[Column], part: str) -> float:
    if not column.get(part):
        return 0.0
    _, now, then = _rise(column, earlier, part)
    return now - then


def _shares(column: Column, part: str) -> dict[str, float]:
    return {str(value): number / column["sampled"] for value, number in column.get(part, ())}


def free(side: Side) -> Iterator[Finding]:
    """More or fewer e-mail addresses at providers of free ones."""
    for name, column in side.now.columns.items():
        limit, having = FIELDS[name].drift.free, side.having(name)
        if limit is None or not having or "free" not in column:
            continue
        shares = [(one.columns[name].get("free", 0), one.columns[name]["sampled"]) for one in having]
        found = distance((column["free"], column["sampled"]), shares)
        if found is None or abs(found.far) < limit:
            continue
        are = f"{FIELDS[name].title}: {percent(found.now)} are at providers of free addresses"
        sentence = f"{are}; {before(having)} {percent(found.before)} were."
        yield finding(
            f"{name}_free", name, abs(found.far) / limit, sentence, now=found.now, before=found.before,
            rows={"of": "free" if found.far > 0 else "not free", "field": name},
        )  # fmt: skip


def swapped(side: Side) -> Iterator[Finding]:
    """The commonest values of one field are those that another one had: first names under Last name."""
    names = [name for name in side.now.columns if FIELDS[name].drift.swapped is not None]
    known = {name: _commonest(side, name) for name in names}
    for name in names:
        own = side.now.columns[name].get("known", ())
        total = sum(number for _, number in own)
        limit = FIELDS[name].drift.swapped
        if total < FEWEST_ROWS or not known[name] or limit is None:
            continue
        shares = {other: sum(number for one, number in own if one in known[other]) / total for other in names}
        closest = max(shares, key=lambda other: shares[other])
        if (far := shares[closest] - shares[name]) < limit:
            continue
        ours, theirs = FIELDS[name].title, FIELDS[closest].title
        common = f"{percent(shares[closest])} of its common values were there, {percent(shares[name])} under {ours}"
        sentence = f"{ours} holds what {theirs} held before: {common}."
        yield finding(
            f"{name}_swapped", name, far / limit, sentence, now=shares[closest], before=shares[name], others=[closest],
            rows={"of": "filled", "field": name},
        )  # fmt: skip


def _commonest(side: Side, name: str) -> set[str]:
    return {one for profile in side.having(name) for one, _ in profile.columns[name].get("known", ())}


def held(side: Side) -> Iterator[Finding]:
    """Values that stood in others and do no more: the last name in the e-mail address. Then one of both was shifted
    against the other, as when a spreadsheet sorts one column alone. The clearest for each field."""
    found = [one for name in side.now.columns for one in _held(name, side)]
    told: set[str] = set()
    for one in sorted(found, key=lambda one: -one.strength):
        if not told & {*one.fields}:
            told |= {*one.fields}
            yield one


def _held(name: str, side: Side) -> Iterator[Finding]:
    for other, (both, inside) in side.now.columns[name].get("holds", {}).items():
        having = [one for one in side.having(name) if one.columns[name].get("holds", {}).get(other, (0, 0))[0]]
        shares = [(one.columns[name]["holds"][other][1], one.columns[name]["holds"][other][0]) for one in having]
        found = distance((inside, both), shares) if both >= FEWEST_ROWS else None
        if found is None or found.far > 0:
            continue
        least = found.now - found.far
        lost = -found.far / least if least >= LEAST_HELD else 0.0
        if lost < FIELDS[name].drift.held:
            continue
        title, word = FIELDS[name].title, FIELDS[other].title
        holds = f"{title} holds the {word.lower()} in {percent(found.now)} of the rows"
        sentence = f"{holds}; {before(having)} in {percent(found.before)}. One of both may be in the wrong rows."
        yield finding(
            f"{name}_without_{other}", name, lost / FIELDS[name].drift.held, sentence,
            now=found.now, before=found.before, others=[other],
            rows={"of": "apart", "field": name, "word": other},
        )  # fmt: skip


LOOKS = (shapes, unknown, leading, free, swapped, held)
