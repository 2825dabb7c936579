-- Version 2: crossing records, spent claims, and the last check.

-- Append-only: each row's hash covers the hash of the row before it.
CREATE TABLE record (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    time      INTEGER NOT NULL,
    port      TEXT    NOT NULL,
    lane      TEXT    NOT NULL,
    direction TEXT    NOT NULL,
    outcome   TEXT    NOT NULL,
    subject   INTEGER,
    score     REAL,
    threshold REAL,
    margin    REAL,
    model     BLOB CHECK (length(model) = 32),
    reasons   TEXT    NOT NULL,
    hash      BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE INDEX record_subject ON record (subject, port, seq) WHERE subject IS NOT NULL;

-- The chain's two ends, authenticated: there is one row as soon as there is a record.
CREATE TABLE chain (
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    first    INTEGER NOT NULL,                                -- the oldest record that is kept
    before   BLOB    NOT NULL CHECK (length(before) = 32),    -- the hash of the one before it
    last     INTEGER NOT NULL,                                -- the newest record
    hash     BLOB    NOT NULL CHECK (length(hash) = 32),      -- its hash
    code_key INTEGER NOT NULL REFERENCES key (slot),
    code     BLOB    NOT NULL
) STRICT;

CREATE TABLE claim (
    nonce      BLOB    PRIMARY KEY CHECK (length(nonce) = 16),
    keep_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE inspection (
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    time     INTEGER NOT NULL,
    problems INTEGER NOT NULL
) STRICT;
