#!/bin/sh
# Run once by PostgreSQL's image, when its volume is new: the role and the database that the program works with. The
# role is no superuser. It may make databases: Prefect's, and those in which backups are restored to prove them.
# What counts statements only a superuser can make, and only what watches may be asked about other roles' statements.
#
# The superuser keeps no password, so that he can be reached from within the container alone.
set -eu
psql -q -v ON_ERROR_STOP=1 -U postgres -d postgres << 'SQL'
SET pg_stat_statements.track_utility = off; -- which would keep the statement with the password
\getenv password POSTGRES_PASSWORD
CREATE ROLE appointment360 LOGIN CREATEDB PASSWORD :'password';
GRANT pg_monitor TO appointment360;
CREATE DATABASE appointment360 OWNER appointment360;
ALTER ROLE postgres PASSWORD NULL;
\connect appointment360
CREATE EXTENSION pg_stat_statements;
SQL
