-- Plans: whose value wins, for each field.

ALTER TABLE imports
    ADD COLUMN keep_fields JSONB DEFAULT '{}' NOT NULL,
    ADD COLUMN dated_by TEXT;
