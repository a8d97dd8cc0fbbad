"""The flows: each is one call into a plain function, which works without Prefect as well."""

from prefect import flow

from models import database, imports
from models.errors import Unavailable
from models.permissions import OPERATOR
from models.settings import settings
from pipelines import export_contacts, import_contacts


@flow(name="import-contacts", flow_run_name="import {import_id}", log_prints=True)
def import_file(import_id: int) -> None:
    """Take an import through its steps up to the commit, with the rights of whoever asked for it.

    Reads the import's stored file, and the contacts it may match. Writes contacts, their history, rejects, check
    results and the import's own numbers. Runs when somebody starts it for an import that was created. A second run
    goes on where the first one stopped, and does nothing to an import that is committed.
    """
    bind_database()
    import_contacts.run(import_id, by=imports.requester(imports.get(import_id, by=OPERATOR)))


@flow(name="export-contacts", flow_run_name="export {export_id}", log_prints=True)
def export_file(export_id: int) -> None:
    """Write an export's file.

    Reads the contacts of the export's stored filter, with the rights of whoever asked. Writes the file below the home
    and the export's receipt. Runs when somebody starts it for an export that was created. A second run
    gives the receipt of one that is done, and starts one anew that failed.
    """
    bind_database()
    export_contacts.run(export_id)


def bind_database() -> None:
    """A flow runs in a process of its own: make DATABASE_URL its database. Raises Unavailable where it is not set."""
    if database.Database.engine is not None:
        return
    url = settings().database_url
    if url is None:
        raise Unavailable("DATABASE_URL is not set: flows need the database. `appointment360 up` sets it.")
    database.bind(url.get_secret_value())
