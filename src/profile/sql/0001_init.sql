-- Schema 1. Steps are append-only: a change is a new numbered file, never an edit of an old one.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What hosts log in with. `sealed` is opaque here: only the vault can open it.
CREATE TABLE credential (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL UNIQUE,
    kind        TEXT NOT NULL CHECK (kind IN ('private_key', 'password', 'agent', 'key_file')),
    sealed      BLOB,
    path        TEXT,
    public_key  TEXT,
    fingerprint TEXT,
    created_at  TEXT NOT NULL
) STRICT;

-- AUTOINCREMENT: an id is never reused, so nothing that still names a removed host can mean another.
CREATE TABLE host (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    name                TEXT NOT NULL UNIQUE,
    address             TEXT NOT NULL,
    port                INTEGER CHECK (port BETWEEN 1 AND 65535),
    user                TEXT,
    kind                TEXT NOT NULL,
    uri                 TEXT,
    sudo                INTEGER NOT NULL CHECK (sudo IN (0, 1)),
    login               TEXT NOT NULL CHECK (login IN ('default', 'agent', 'credential', 'key_file')),
    credential_id       INTEGER REFERENCES credential (id) ON DELETE RESTRICT,
    key_file            TEXT,
    jumps               TEXT NOT NULL, -- JSON array of `user@host:port`
    tier                TEXT,
    tags                TEXT NOT NULL, -- JSON array of words
    read_only           INTEGER NOT NULL CHECK (read_only IN (0, 1)),
    accept_new_host_key INTEGER NOT NULL CHECK (accept_new_host_key IN (0, 1)),
    enabled             INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    CHECK ((login = 'credential') = (credential_id IS NOT NULL)),
    CHECK ((login = 'key_file') = (key_file IS NOT NULL))
) STRICT;

CREATE INDEX host_by_credential ON host (credential_id);

CREATE TABLE pinned_key (
    label       TEXT NOT NULL,
    algorithm   TEXT NOT NULL,
    base64      TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    revoked     INTEGER NOT NULL CHECK (revoked IN (0, 1)),
    PRIMARY KEY (label, algorithm, base64)
) STRICT, WITHOUT ROWID;

-- What a host last said: for the first picture, before any connection.
CREATE TABLE inventory (
    host_id  INTEGER PRIMARY KEY REFERENCES host (id) ON DELETE CASCADE,
    taken_at TEXT NOT NULL,
    body     BLOB NOT NULL
) STRICT;

CREATE TABLE identity (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    recipient TEXT NOT NULL,
    wrapped   BLOB NOT NULL
) STRICT;

CREATE TABLE audit_head (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    seq  INTEGER NOT NULL,
    hash TEXT NOT NULL
) STRICT;
