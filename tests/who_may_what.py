"""Who may what: every operation that acts for a person, under the row of models.permissions.DEEDS that it belongs to.

`python -m tests.who_may_what` writes the table into the README. A new operation gets its line in OPERATIONS, or, where
it relies on the one that calls it, in RELIES_ON with the reason; a new row gets its line in DEEDS.
"""

import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import data_checks
import models
import pipelines
from models.permissions import DEEDS, Actor, Role

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- who may what -->", "<!-- end of who may what -->"
# In the order of DEEDS.
(
    SEE, SEE_INDUSTRIES, EXPORT, OWN_EXPORTS, ALL_EXPORTS, VIEWS, ALL_VIEWS, SCHEDULE, COPY, EDIT, RESTORE,
    UNDO_OTHERS, MERGE, ORDER_INDUSTRIES, SEE_IMPORTS, IMPORT, UNDO_IMPORT, SEE_WATCHED, WATCH, SEE_QUALITY, CHECK,
    SWITCH_RULES, PEOPLE,
    CHANGE_PEOPLE,
    CLOSE_ACCOUNTS, GRANT, BUY, OWN_PAYMENTS, ALL_PAYMENTS, TREASURY, RULE, AUDIT, SEE_JOBS,
    SEE_PERFORMANCE, SEE_HOUSE, RUN_JOBS, SEE_BACKUPS, BACK_UP, KEEP_HOUSE, ACCOUNT, OWN,
) = DEEDS  # fmt: skip

OPERATIONS: dict[str, tuple[str, ...]] = {
    SEE: (
        "models.contacts.search.page", "models.contacts.search.following",
        "models.contacts.search.following_soon", "models.contacts.search.neighbours", "models.contacts.search.those_of",
        "models.contacts.search.count", "models.contacts.search.counts", "models.contacts.search.known_counts",
        "models.contacts.search.meant",
        "models.contacts.search.count_by", "models.contacts.search.count_by_each",
        "models.contacts.search.statistics_of", "models.contacts.search.matching", "models.contacts.search.moment",
        "models.contacts.difference.numbers", "models.contacts.difference.page", "models.contacts.records.get",
        "models.contacts.records.get_soon", "models.contacts.records.as_it_was",
        "models.contacts.records.suggestions", "models.contacts.history.of_contact", "models.contacts.likeness.alike",
        "models.contacts.autocomplete.values",
    ),
    SEE_INDUSTRIES: (
        "models.industries.listed", "models.industries.out_of_use", "models.industries.contacts_without",
    ),
    EXPORT: (
        "models.exports.request", "models.exports.again", "models.exports.cancel", "models.exports.downloaded",
        "models.contacts.difference_file.cost", "models.contacts.difference_file.as_csv",
        "pipelines.export_contacts.export",
    ),
    OWN_EXPORTS: (
        "models.exports.get", "models.exports.mine", "models.exports.count", "models.exports.under_way",
        "models.exports.people", "models.exports.compared", "models.credits.cost",
    ),
    VIEWS: (
        "models.views.listed", "models.views.deleted", "models.views.get", "models.views.find", "models.views.counts",
        "models.view_changes.save", "models.view_changes.change", "models.view_changes.put_back",
        "models.view_changes.rename", "models.view_changes.share", "models.view_changes.delete",
        "models.view_changes.restore", "models.view_changes.use",
    ),
    SCHEDULE: (
        "models.view_exports.schedule", "models.view_exports.change", "models.view_exports.pause",
        "models.view_exports.unschedule", "models.view_exports.listed", "models.view_exports.run_now",
        "models.view_exports.get", "models.view_runs.of_schedule",
        "pipelines.export_views.run_now",
    ),
    COPY: ("models.contacts.copies.copy", "models.contacts.copies.cost"),
    EDIT: (
        "models.contacts.records.create", "models.contacts.records.created",
        "models.contacts.records.update", "models.contacts.records.undo",
        "models.contacts.records.delete", "models.contacts.bulk.change", "models.contacts.bulk.tag",
        "models.contacts.bulk.delete", "models.contacts.bulk.put_back", "models.contacts.editing.editing",
        "models.contacts.many.write",
    ),
    RESTORE: (
        "models.contacts.deleted.page", "models.contacts.records.deleted", "models.contacts.records.restore",
        "models.contacts.bulk.restore",
    ),
    MERGE: (
        *(f"models.duplicates.runs.{name}" for name in ("ask", "cancel", "get", "newest", "last_done")),
        *(f"models.duplicates.pairs.{name}" for name in ("page", "count", "get", "cluster", "decide", "withdraw")),
        *(f"models.contacts.merging.{name}" for name in ("proposal", "merge", "unmerge", "made")),
        *(f"models.contacts.merging_many.{name}" for name in ("sure", "merge", "unmerge")),
        "pipelines.find_duplicates.find",
    ),
    ORDER_INDUSTRIES: (
        "models.industries.create", "models.industries.rename", "models.industries.merge", "models.industries.unmerge",
        "models.industries.deactivate", "models.industries.activate",
    ),
    SEE_IMPORTS: (
        "models.imports.get", "models.imports.latest", "models.imports.page", "models.imports.listed",
        "models.imports.preview", "models.imports.changed_values", "models.imports.checks", "models.imports.notes",
        "models.import_rejects.rows", "models.import_rejects.page", "models.import_rejects.reasons",
        "models.import_findings.listed", "models.import_profiles.compared", "models.import_acceptances.find",
        "models.import_finding_rows.page", "models.import_finding_rows.as_csv",
        "models.import_rejects.as_csv", "models.import_uploads.arrived", "pipelines.import_rejects.write_rejects",
        "models.import_changes.page", "models.import_changes.rows", "models.import_changes.as_csv",
        "models.import_changes.moved", "models.import_changes.moved_as_csv", "pipelines.import_rejects.write_changes",
        "pipelines.import_rejects.write_moved",
        "models.import_kept.last", "models.import_kept.page", "models.import_kept.rows", "models.import_kept.as_csv",
        "pipelines.import_rejects.write_kept",
        "models.mappings.listed", "models.mappings.get", "models.mappings.named", "models.mappings.uses",
    ),
    IMPORT: (
        "models.imports.create", "models.import_acceptances.accept", "models.import_acceptances.withdraw",
        "models.import_drafts.find", "models.import_drafts.keep",
        "models.import_drafts.forget", "models.import_orders.ask", "models.import_orders.remap",
        "models.import_orders.cancel", "models.import_uploads.begin", "models.import_uploads.get",
        "models.import_uploads.complete", "models.import_uploads.Part", "models.parted_uploads.PartWriter",
        "models.import_uploads.SharedPart", "models.import_uploads.part",
        "models.parted_uploads.listed", "models.parted_uploads.remove", "pipelines.import_contacts.create",
        "pipelines.import_contacts.run", "pipelines.import_contacts.go_on",
        "models.mappings.save", "models.mappings.rename", "models.mappings.share", "models.mappings.change",
        "models.mappings.remove",
    ),
    UNDO_IMPORT: (
        "models.import_orders.ask (undone)", "pipelines.import_contacts.undo", "pipelines.import_contacts.take_back",
        "models.import_orders.ask_redo", "pipelines.import_contacts.redo", "pipelines.import_contacts.bring_back",
    ),
    SEE_WATCHED: (
        "models.watched_folders.listed", "models.watched_folders.get", "models.watched_folders.named",
        "models.watched_folders.activate", "models.watched_folders.look_soon", "models.watched_files.of_folder",
        "models.watched_files.try_again",
    ),
    WATCH: ("models.watched_folders.add", "models.watched_folders.change", "models.watched_folders.remove"),
    SEE_QUALITY: (
        *(f"models.check_board.{name}" for name in ("board", "of_run", "newest", "get", "page")),
        "models.check_report.html", "models.check_report.csv", "models.check_report.name",
    ),
    CHECK: ("models.check_runs.ask", "pipelines.validate_contacts.check"),
    SWITCH_RULES: ("models.check_switches.switch",),
    PEOPLE: (
        "models.users.find", "models.user_list.everyone", "models.user_list.person", "models.user_list.with_id",
        "models.credits.usage", "models.tokens.listed_of",
        "models.role_rules.second_factor_required",
        "models.credits.balance (of another)", "models.credits.entries (of another)",
    ),
    CHANGE_PEOPLE: ("models.users.invite", "models.users.new_link", "models.users.change", "models.users.reactivate",
                    "models.tokens.create_for"),
    CLOSE_ACCOUNTS: (
        "models.users.deactivate", "models.second_factors.reset", "models.sign_in_sessions.end_all",
        "models.tokens.revoke_of", "models.tokens.revoke_all_of",
    ),
    GRANT: ("models.credits.grant", "models.credits.take_back"),
    BUY: (
        "models.payments.offers.listed",
        *(f"models.payments.orders.{name}" for name in ("create", "checkout", "returned")),
        *(f"models.payments.checkouts.{name}" for name in ("open_order", "open_subscription")),
        *(
            f"models.payments.subscriptions.{name}"
            for name in ("start", "checkout", "returned", "change", "cancel", "pause", "resume")
        ),
    ),
    OWN_PAYMENTS: (
        "models.payments.listing.mine", "models.payments.listing.invoices", "models.payments.subscriptions.current",
    ),
    ALL_PAYMENTS: (
        *(f"models.payments.listing.{name}" for name in ("page", "get", "revenue")),
        *(f"models.payments.events.{name}" for name in ("page", "get", "numbers")),
        "models.payments.reconciliations.latest", "models.payments.reconciliations.findings",
    ),
    TREASURY: (
        "models.payments.offers.change", "models.payments.refunds.proposal", "models.payments.refunds.refund",
        "models.payments.events.replay", "models.payments.events.replay_dead", "models.payments.reconciliations.ask",
    ),
    RULE: ("models.role_rules.require_second_factor",),
    AUDIT: (
        "models.audit_log.page", "models.audit_log.get", "models.audit_log.people", "models.audit_log.as_csv",
    ),
    SEE_JOBS: ("models.flow_runs.page", "models.flow_runs.get", "models.flow_runs.last",
               "models.flow_runs.newest_of", "models.flow_runs.known_flows", "models.flow_runs.under_way",
               "models.flow_schedules.listed"),
    SEE_PERFORMANCE: (
        "models.performance.reports.latest", "models.performance.reports.get", "models.performance.reports.listed",
        "models.performance.reports.is_mailed", "models.performance.reports.have_mailed",
        "models.performance.reports.store", "pipelines.report_performance.report", "pipelines.report_performance.run",
        "pipelines.report_performance.now",
    ),
    SEE_HOUSE: (
        "models.house.standing.now", "models.house.reports.latest", "models.house.reports.get",
        "models.house.reports.listed", "models.house.reports.store", "models.disk_alerts.listed",
    ),
    RUN_JOBS: (
        "models.flow_schedules.pause", "models.flow_schedules.resume", "models.jobs.run", "models.jobs.cancel",
        "models.jobs.retry",
    ),
    SEE_BACKUPS: (
        "models.backups.listed", "models.backups.get", "models.backups.newest_done", "models.backups.at_work",
        "models.backup_alerts.health",
    ),
    BACK_UP: (
        "models.backups.ask", "models.backups.ask_drill", "models.backups.restored", "pipelines.back_up.make",
        "pipelines.drill.run", "pipelines.drill.prove", "pipelines.restore_backup.run",
    ),
    KEEP_HOUSE: ("pipelines.keep_house.keep", "pipelines.keep_house.run", "pipelines.keep_house.now"),
    ACCOUNT: (
        "models.profile.get", "models.profile.rename", "models.profile.change_password",
        "models.profile.ask_email_change", "models.own_password.require", "models.second_factors.begin",
        "models.second_factors.confirm", "models.second_factors.left", "models.second_factors.new_recovery_codes",
        "models.second_factors.remove", "models.sign_in_sessions.sessions_of", "models.sign_in_sessions.end",
        "models.sign_in_sessions.end_others", "models.tokens.create", "models.tokens.listed", "models.tokens.revoke",
    ),
    OWN: (
        "models.credits.balance", "models.credits.entries",
        "models.preferences.get", "models.preferences.under", "models.preferences.put", "models.preferences.forget",
    ),
}  # fmt: skip

# Rows that are a part of operations above, which do more for who has the permission; tested where those are.
WITHIN = (ALL_EXPORTS, ALL_VIEWS, UNDO_OTHERS)

IN_A_SESSION = "takes part in the open transaction of an operation that was allowed"
READS_NOTHING = "reads and writes nothing: it only says what the person may see"
A_STEP = "a step of pipelines.import_contacts.go_on, which was allowed"
OF_A_FILE = "notes how the file of an export comes along that exports.request allowed; its writer looks again"
RELIES_ON: dict[str, str] = {
    "models.audit.write": IN_A_SESSION,
    "models.backups.drilled": "notes what a drill found that was allowed",
    "models.backups.not_drilled": "notes why a drill that was allowed could not be done",
    "models.backups.finish": "notes what came of a backup that was allowed",
    "models.contacts.as_of.contacts_at": READS_NOTHING,
    "models.contacts.as_of.look_back": IN_A_SESSION,
    "models.contacts.difference.compared": IN_A_SESSION,
    "models.contacts.difference_file.parse": READS_NOTHING,
    "models.contacts.records.whole": READS_NOTHING,
    "models.contacts.search.looking": "opens the transaction of a question that was allowed",
    "models.contacts.mirrored.matching.Matching": "answers a question that was allowed, as a database does",
    "models.contacts.mirrored.counts": "answers a question that was allowed, as a database does",
    "models.contacts.history.missing": IN_A_SESSION,
    **dict.fromkeys(
        (
            f"models.contacts.records.{name}"
            for name in ("read_in", "read_many", "new_columns", "changed_columns", "require_unmoved")
        ),
        IN_A_SESSION,
    ),
    "models.contacts.merging.merge_in": IN_A_SESSION,
    "models.duplicates.runs.finish": "notes how a run ended that runs.ask allowed, and runs.begin looks again",
    "models.duplicates.runs.fail": "notes how a run ended that runs.ask allowed, and runs.begin looks again",
    "models.duplicates.runs.require_reviewing": READS_NOTHING,
    "models.duplicates.runs.sees_all": READS_NOTHING,
    "models.kept.Kept.answer": "keeps what an operation answered, for whoever sees and may the same",
    "models.kept.Kept.forget": READS_NOTHING,
    "models.kept.sight": READS_NOTHING,
    "models.contacts.likeness.certain": IN_A_SESSION,
    "models.contacts.likeness.certain_of_many": IN_A_SESSION,
    "models.contacts.likeness.same": READS_NOTHING,
    "models.database.writing": "opens the transaction of an operation that was allowed",
    "models.import_servers.working": "opens the transaction of a step of an import that was allowed",
    "models.import_drafts.remove": IN_A_SESSION,
    "models.import_orders.give": IN_A_SESSION,
    "models.imports.add": IN_A_SESSION,
    "models.import_uploads.own": IN_A_SESSION,
    "models.watched_files.take": "a part of a look at a folder, whose rights watched_looks.begin has just asked for",
    "models.watched_folders.checked": READS_NOTHING,
    "models.watched_folders.require_watchable": READS_NOTHING,
    "models.watched_folders.require_setting_up": READS_NOTHING,
    "models.mapping_memory.recall": "a part of a step of an import that was allowed, which opens the file",
    "models.mapping_memory.remember": IN_A_SESSION,
    "models.mapping_contents.seen_by": READS_NOTHING,
    "models.accounts.require_self": READS_NOTHING,
    "models.accounts.require_session": READS_NOTHING,
    "models.idempotency.Carried": "notes how far a request is that its own operation allows",
    "models.idempotency.begin": "answers the person's own requests, which their operations allow",
    "models.accounts.require_still": IN_A_SESSION,
    "models.audit.is_written": IN_A_SESSION,
    "models.audit.write_once_a_minute": IN_A_SESSION,
    "models.audit_log.statement": "only puts the question together that page and as_csv ask",
    "models.contacts.copies.fields": READS_NOTHING,
    **dict.fromkeys(
        (
            *(f"models.credit_ledger.{name}" for name in ("add", "give_back", "limit_changed", "opened", "spend")),
            *(f"models.credits.{one}" for one in ("cost_of", "cover", "fresh", "pay", "refund", "reserve", "settle")),
            "models.exports.fresh",
            "models.link_tokens.make",
            "models.mails.queue",
            "models.second_factors.complete",
        ),
        IN_A_SESSION,
    ),
    "models.sign_ins.after_link": "is for whoever just chose a password, and gives only themselves a ticket",
    "models.sign_ins.issue_ticket": "is for whoever's password was just right, and gives only themselves a session",
    "models.exports.begin": OF_A_FILE,
    "models.exports.finish": OF_A_FILE,
    "models.exports.fail": OF_A_FILE,
    "models.check_results.seen_by": READS_NOTHING,
    "models.check_alarms.tell": IN_A_SESSION,
    "models.filters.visible_checks": READS_NOTHING,
    "models.import_findings.seen_by": READS_NOTHING,
    "models.import_acceptances.NotAccepted.told_to": READS_NOTHING,
    "models.contacts.bulk.Selection.condition": READS_NOTHING,
    "models.contacts.editing.editable": READS_NOTHING,
    "models.contacts.records.Record.seen_by": READS_NOTHING,
    "models.contacts.search.chosen_columns": READS_NOTHING,
    "models.contacts.search.ordered": READS_NOTHING,
    "models.exports.checked_columns": READS_NOTHING,
    "models.filters.Filters.require_seen": READS_NOTHING,
    "models.filters.Filters.condition": READS_NOTHING,
    "models.filters.search_text": READS_NOTHING,
    "models.filters.parse": READS_NOTHING,
    "models.filters.parse_query": READS_NOTHING,
    "models.filters.parse_pairs": READS_NOTHING,
    "models.filters.filterable": READS_NOTHING,
    "models.filters.visible_fields": READS_NOTHING,
    "models.imports.why_hidden": READS_NOTHING,
    "models.imports.require_importing": READS_NOTHING,
    "models.imports.sees_all": READS_NOTHING,
    "models.view_runs.view_of": "a step of pipelines.export_views, with the rights of who set the schedule up",
    "models.views.as_seen": IN_A_SESSION,
    "models.views.locked": IN_A_SESSION,
    "models.views.columns_seen": READS_NOTHING,
    "models.views.editable": READS_NOTHING,
    "models.payments.offers.require_buying": READS_NOTHING,
    "models.permissions.require": READS_NOTHING,
    "models.permissions.require_own": READS_NOTHING,
    "models.permissions.visible": READS_NOTHING,
    "pipelines.import_steps.open_file": A_STEP,
    "pipelines.import_steps.stage": A_STEP,
    "pipelines.import_steps.check_and_plan": A_STEP,
    "pipelines.import_steps.plan": A_STEP,
    "pipelines.import_steps.commit": A_STEP,
}


def table() -> str:
    """The rows of DEEDS as Markdown."""
    lines = ["| | " + " | ".join(role.label for role in Role) + " | Permission |", "|---|" + "---|" * (len(Role) + 1)]
    for words, needed in DEEDS.items():
        marks = ("yes" if needed is None or needed in role.permissions else "" for role in Role)
        lines.append(f"| {words} | {' | '.join(marks)} | {needed.value if needed else 'to be signed in'} |")
    return "\n".join(lines)


def acting() -> Iterator[tuple[str, Callable[..., Any]]]:
    """(name, function or class) of everything public of models, data_checks and pipelines that takes an Actor."""
    for package in (models, data_checks, pipelines):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            spec = importlib.util.find_spec(found.name)
            if spec is None or spec.origin is None or "Actor" not in Path(spec.origin).read_text():
                continue  # not even imported: some of these load for seconds, or run something
            module = importlib.import_module(found.name)
            for name, one in vars(module).items():
                if name.startswith("_") or getattr(one, "__module__", None) != found.name:
                    continue
                yield from _acting(f"{found.name}.{name}", one)


def _acting(name: str, one: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    if inspect.isfunction(one) and _takes_actor(one):
        yield name, one
    if inspect.isclass(one):
        for part, method in vars(one).items():
            if inspect.isfunction(method) and _takes_actor(method):
                if part == "__init__" and not hasattr(one, "__dataclass_fields__"):
                    yield name, one
                elif not part.startswith("_"):
                    yield f"{name}.{part}", method


def _takes_actor(function: Callable[..., Any]) -> bool:
    kinds = (parameter.annotation for parameter in inspect.signature(function).parameters.values())
    return any(kind is Actor or "Actor" in str(kind) for kind in kinds)


def main() -> None:
    before, _, rest = README.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}")


if __name__ == "__main__":
    main()
