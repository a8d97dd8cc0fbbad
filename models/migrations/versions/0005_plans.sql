-- Plans: whose value wins, for each field.

ALTER TABLE imports
    ADD COLUMN keep_fields JSONB DEFAULT '{}' NOT NULL,
    ADD COLUMN dated_by TEXT;

-- What a commit wrote, as the ranges of numbers that it was given: {"contacts": [first, last], "versions": [first, last]};
-- and how many rows of the plan no longer held.
ALTER TABLE imports
    ADD COLUMN written JSONB,
    ADD COLUMN moved BIGINT DEFAULT '0' NOT NULL;

-- The contacts that a row could mean; the line of the one that came in instead; its reason's place among the commonest.
ALTER TABLE import_rejects
    ADD COLUMN contacts BIGINT[],
    ADD COLUMN other_line BIGINT,
    ADD COLUMN reason_number SMALLINT;

CREATE TABLE import_places (
    import_id INTEGER NOT NULL,
    of TEXT NOT NULL,
    what TEXT NOT NULL,
    block BIGINT NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (import_id, of, what, block)
);

CREATE TABLE import_moves (
    import_id INTEGER NOT NULL,
    line BIGINT NOT NULL,
    was_action TEXT,
    was_target BIGINT,
    was_changes TEXT[],
    action TEXT,
    target BIGINT,
    changes TEXT[],
    PRIMARY KEY (import_id, line)
);
