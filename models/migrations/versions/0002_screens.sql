-- The screens: what people chose, how far an import is, who changed contacts many at a time.

CREATE TABLE preferences (
    user_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    value JSONB NOT NULL,
    PRIMARY KEY (user_id, name)
);

-- Where an industry's contacts went when it was merged into another, so that it can be taken back.
ALTER TABLE industries ADD COLUMN merged_into INTEGER REFERENCES industries (id);
ALTER TABLE industries ADD COLUMN merged_at TIMESTAMP WITH TIME ZONE[];
ALTER TABLE industries ADD COLUMN merged_contacts BIGINT;

-- Deleted contacts, newest first, are looked for among all versions of all contacts.
CREATE INDEX contact_history_deleted ON contact_history (version_id) INCLUDE (id) WHERE replaced_how = 'delete';

-- What industries were called before, in small letters: who was called so last.
CREATE TABLE industry_former_names (
    name TEXT NOT NULL,
    industry_id INTEGER NOT NULL,
    PRIMARY KEY (name),
    FOREIGN KEY(industry_id) REFERENCES industries (id)
);

-- Which industry a name means, by the name in small letters: the one that is called so, else the one that was called so;
-- and, where that is out of use since it was merged into another, that one. Merges lead in no circle.
CREATE VIEW industry_meanings AS
WITH RECURSIVE named (key, id) AS (
    SELECT lower(name), id FROM industries
    UNION ALL
    SELECT f.name, f.industry_id FROM industry_former_names f
    WHERE NOT EXISTS (SELECT FROM industries i WHERE lower(i.name) = f.name)
), meant (key, id) AS (
    TABLE named
    UNION ALL
    SELECT m.key, i.merged_into FROM meant m JOIN industries i USING (id)
    WHERE NOT i.is_active AND i.merged_into IS NOT NULL
)
SELECT m.key, i.id, i.name FROM meant m JOIN industries i USING (id) WHERE i.is_active OR i.merged_into IS NULL;

-- When an export's rows began to be written: its speed follows.
ALTER TABLE exports ADD COLUMN started_at TIMESTAMP WITH TIME ZONE;

CREATE INDEX exports_created_by ON exports (created_by, id);

-- An import's upload and the beginning of its file, what somebody wants of it, and how far a process is with it.
ALTER TABLE imports ADD COLUMN upload_bytes BIGINT;
ALTER TABLE imports ADD COLUMN upload_modified BIGINT;
ALTER TABLE imports ADD COLUMN preview JSONB;
ALTER TABLE imports ADD COLUMN reasons JSONB;
ALTER TABLE imports ADD COLUMN left_out JSONB DEFAULT '[]' NOT NULL;
ALTER TABLE imports ADD COLUMN orders INTEGER DEFAULT '0' NOT NULL;
ALTER TABLE imports ADD COLUMN wanted TEXT;
ALTER TABLE imports ADD COLUMN wanted_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE imports ADD COLUMN wanted_by INTEGER;
ALTER TABLE imports ADD COLUMN wanted_plan JSONB;
ALTER TABLE imports ADD COLUMN tries INTEGER DEFAULT '0' NOT NULL;
ALTER TABLE imports ADD COLUMN step TEXT;
ALTER TABLE imports ADD COLUMN step_done BIGINT;
ALTER TABLE imports ADD COLUMN step_total BIGINT;
ALTER TABLE imports ADD COLUMN step_started TIMESTAMP WITH TIME ZONE;
ALTER TABLE imports ADD COLUMN step_at TIMESTAMP WITH TIME ZONE;

CREATE UNIQUE INDEX imports_uploading ON imports (created_by, file_name, upload_bytes, upload_modified)
    WHERE state = 'new' AND file_path = '' AND wanted IS NULL AND upload_bytes IS NOT NULL;

-- Counts contacts that an import changes or takes back while it does so; a hundred at once, which makes it ten times
-- cheaper than a contact's own number.
CREATE SEQUENCE contacts_rewritten CACHE 100;

-- A page of the rows of one kind, also of the few duplicates behind a million rejected ones.
DROP INDEX import_rejects_import;
CREATE INDEX import_rejects_import ON import_rejects (import_id, kind, line, id);

-- Browsing. One narrow index in the order of ids holds what people filter and sort by most: a count, or a page in any of
-- these orders, reads its hundred bytes of a contact instead of the whole row. Lists and free text have their own.
CREATE EXTENSION IF NOT EXISTS pg_trgm;

DO $$ BEGIN
    -- Where there are contacts, models/contacts/browsing.py builds these while people work.
    IF EXISTS (SELECT FROM contacts) THEN RETURN; END IF;
    CREATE INDEX contacts_browsed ON contacts (id) INCLUDE (created_at, updated_at, import_id, industry_id, owner_id,
        employees, is_active, last_raised_at, annual_revenue, total_funding, latest_funding_amount, country, seniority,
        email_status);
    CREATE INDEX contacts_lists ON contacts USING gin (technologies, keywords, tags, departments)
        WITH (gin_pending_list_limit = 65536);
    CREATE INDEX contacts_words ON contacts
        USING gin (contact_search_text(first_name, last_name, title, company, email, website) gin_trgm_ops)
        WITH (gin_pending_list_limit = 262144);
END $$;

-- An index answers alone only for pages that vacuum has seen.
ALTER TABLE contacts SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05);

-- On how many days contacts were added: else the planner expects as many as there are contacts, and counts without help.
CREATE STATISTICS contacts_days ON (timezone('UTC', created_at)::date) FROM contacts;
