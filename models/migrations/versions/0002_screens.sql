-- The screens: what people chose, how far an import is, who changed contacts many at a time.

CREATE TABLE preferences (
    user_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    value JSONB NOT NULL,
    PRIMARY KEY (user_id, name)
);
