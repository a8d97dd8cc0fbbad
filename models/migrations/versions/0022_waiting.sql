-- The moment whose run was started, and waits for its turn: no process has come to it yet.
ALTER TABLE flow_schedules ADD COLUMN waits_since TIMESTAMP WITH TIME ZONE;
