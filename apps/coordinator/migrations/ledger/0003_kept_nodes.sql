-- From here on nodes below level 6 are made again from the entries, and have no rows. Rows that an earlier version wrote
-- for them stay: they are right, and nothing reads them. An earlier version would miss the others, so it is told by
-- this number that the file is not for it.
SELECT 1;
