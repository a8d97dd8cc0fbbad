-- Keeps the program itself from changing the audit log: the log belongs to a role that nobody signs in with, and the
-- program's own role may read and add lines. Run it once as a superuser, when `appointment360 up` has made the tables:
--
--     psql "$ADMIN_URL" -v program=appointment360 -f deploy/audit_role.sql
--
-- Without it the triggers refuse the same; but whoever owns a table can switch its triggers off. Later migrations that
-- touch audit_log have to run as a superuser, too.

DO $$ BEGIN
    CREATE ROLE appointment360_audit NOLOGIN;
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;
ALTER SCHEMA public OWNER TO appointment360_audit; -- whoever owns a schema can drop what is in it
GRANT USAGE, CREATE ON SCHEMA public TO :"program";
ALTER TABLE audit_log OWNER TO appointment360_audit;
ALTER FUNCTION expire_audit_log OWNER TO appointment360_audit;
REVOKE ALL ON audit_log FROM PUBLIC, :"program";
GRANT SELECT, INSERT ON audit_log TO :"program";
GRANT EXECUTE ON FUNCTION expire_audit_log TO :"program";
