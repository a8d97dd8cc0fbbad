-- Since when it has these moments: none before can have been missed.
ALTER TABLE flow_schedules ADD COLUMN since TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL;
