-- The object of the shared store that holds the part; NULL where it lies in its place in the file below the home.
ALTER TABLE import_parts ADD COLUMN stored_as TEXT;
ALTER TABLE import_parts ADD COLUMN stored_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now();
-- Which opening or staging of the file the import goes on from, where hosts share no folder: one that has the cells of
-- another opening reads the file again.
ALTER TABLE imports ADD COLUMN working_copy TEXT;
