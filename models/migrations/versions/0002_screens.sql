-- The screens: what people chose, how far an import is, who changed contacts many at a time.

CREATE TABLE preferences (
    user_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    value JSONB NOT NULL,
    PRIMARY KEY (user_id, name)
);

-- Where an industry's contacts went when it was merged into another, so that it can be taken back.
ALTER TABLE industries ADD COLUMN merged_into INTEGER REFERENCES industries (id);
ALTER TABLE industries ADD COLUMN merged_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE industries ADD COLUMN merged_contacts BIGINT;

-- When an export's rows began to be written: its speed follows.
ALTER TABLE exports ADD COLUMN started_at TIMESTAMP WITH TIME ZONE;

CREATE INDEX exports_created_by ON exports (created_by, id);

-- An import's upload and the beginning of its file, what somebody wants of it, and how far a process is with it.
ALTER TABLE imports ADD COLUMN upload_bytes BIGINT;
ALTER TABLE imports ADD COLUMN upload_modified BIGINT;
ALTER TABLE imports ADD COLUMN preview JSONB;
ALTER TABLE imports ADD COLUMN orders INTEGER DEFAULT '0' NOT NULL;
ALTER TABLE imports ADD COLUMN wanted TEXT;
ALTER TABLE imports ADD COLUMN wanted_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE imports ADD COLUMN wanted_by INTEGER;
ALTER TABLE imports ADD COLUMN tries INTEGER DEFAULT '0' NOT NULL;
ALTER TABLE imports ADD COLUMN step TEXT;
ALTER TABLE imports ADD COLUMN step_done BIGINT;
ALTER TABLE imports ADD COLUMN step_total BIGINT;
ALTER TABLE imports ADD COLUMN step_started TIMESTAMP WITH TIME ZONE;
ALTER TABLE imports ADD COLUMN step_at TIMESTAMP WITH TIME ZONE;
