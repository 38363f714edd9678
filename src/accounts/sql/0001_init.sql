-- Schema 1. Steps are append-only: a change is a new numbered file, never an edit of an old one.
-- Moments are milliseconds since 1970 in UTC.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The server's own identity, wrapped with its passphrase. At most one.
CREATE TABLE identity (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    recipient TEXT NOT NULL,
    wrapped   BLOB NOT NULL
) STRICT;

-- AUTOINCREMENT: an id is never reused, so nothing that still names a removed user can mean another.
CREATE TABLE user (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL,
    email      TEXT UNIQUE COLLATE NOCASE,
    profile    TEXT NOT NULL,
    admin      INTEGER NOT NULL CHECK (admin IN (0, 1)),
    created_at INTEGER NOT NULL
) STRICT;

-- `digest` is the keyed digest of the key, never the key. A key taken over from an older program has
-- none until it is first used; until then `legacy_hash` and `legacy_salt` (PBKDF2) know it.
CREATE TABLE api_key (
    id          TEXT PRIMARY KEY,
    user_id     INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    prefix      TEXT NOT NULL,
    digest      BLOB UNIQUE,
    legacy_hash BLOB,
    legacy_salt BLOB,
    scopes      TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER,
    last_used   INTEGER,
    revoked_at  INTEGER
) STRICT;

CREATE INDEX api_key_of_user ON api_key (user_id);
CREATE INDEX api_key_legacy ON api_key (prefix) WHERE legacy_hash IS NOT NULL;

-- Profiles that the server may open. `sealed` is the profile's identity, sealed to the server's; `made`
-- marks those that the server made for a user: nothing of this machine's SSH is used for them.
CREATE TABLE profile_grant (
    profile    TEXT PRIMARY KEY,
    profile_id TEXT NOT NULL,
    sealed     BLOB,
    made       INTEGER NOT NULL CHECK (made IN (0, 1)),
    granted_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Hosts as the portal contract numbers them: its ids are unique over all users.
CREATE TABLE agent (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id          INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    host_id          INTEGER NOT NULL,
    known_hosts_path TEXT,
    created_at       INTEGER NOT NULL,
    UNIQUE (user_id, host_id)
) STRICT;

-- What was answered to a request that a client may send again.
CREATE TABLE idempotency (
    key_id     TEXT NOT NULL,
    name       TEXT NOT NULL,
    request    BLOB NOT NULL,
    run        TEXT NOT NULL,
    operation  TEXT,
    status     INTEGER,
    location   TEXT,
    body       BLOB,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (key_id, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_expiry ON idempotency (expires_at);
