-- Schema 2. What a person has set up on the screen and wants to find again: order and columns of a
-- table, the theme, filters under a name. Values are the front end's own words.

CREATE TABLE preference (
    name  TEXT PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 96),
    value TEXT NOT NULL CHECK (length(value) <= 4096)
) STRICT, WITHOUT ROWID;
