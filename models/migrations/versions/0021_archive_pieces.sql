-- The pieces of the archived log as they should lie in their place. `gone_since` is since when a listing of the place has
-- one no more, or of another size; `damaged_since` since when its content was found to be another.
CREATE TABLE recovery_pieces (
    system TEXT NOT NULL,
    segment TEXT NOT NULL,
    place TEXT NOT NULL,
    file TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    archived_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    locked_until TIMESTAMP WITH TIME ZONE,
    gone_since TIMESTAMP WITH TIME ZONE,
    damaged_since TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (system, segment)
);

ALTER TABLE recovery_bases
    ADD COLUMN gone_since TIMESTAMP WITH TIME ZONE,
    ADD COLUMN damaged_since TIMESTAMP WITH TIME ZONE;
