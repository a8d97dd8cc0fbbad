-- Provenance: contacts as they were at a moment.

-- Versions lie as they came: a few bytes for each hundred pages say where those that were replaced after a moment begin.
CREATE INDEX contact_history_moment ON contact_history USING brin (replaced_at) WITH (autosummarize = on);
