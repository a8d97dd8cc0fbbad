-- What lets the look at contact_moves pass over the rows that were added up already, which the server keeps for as long
-- as somebody holds a snapshot of before.
ALTER TABLE contact_moves
    ADD COLUMN written_in BIGINT DEFAULT (pg_current_xact_id()::text::bigint) NOT NULL, -- the transaction's number
    -- Of a sum: all of the transactions before this number had ended, and are in it. It counts only on the server that
    -- wrote it, until that is started again: another one numbers its transactions otherwise.
    ADD COLUMN ended_before BIGINT,
    ADD COLUMN server_began TIMESTAMP WITH TIME ZONE;

CREATE INDEX contact_moves_written ON contact_moves (written_in);
CREATE INDEX contact_moves_sums ON contact_moves (ended_before) WHERE ended_before IS NOT NULL;
