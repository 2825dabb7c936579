-- Version 1: subjects, their documents, and their sealed templates.

-- One row: what this register is.
CREATE TABLE register (
    only          INTEGER PRIMARY KEY CHECK (only = 1),
    id            BLOB    NOT NULL CHECK (length(id) = 16),
    created       INTEGER NOT NULL,                           -- times are milliseconds since 1970-01-01T00:00Z
    number_secret BLOB    NOT NULL                            -- sealed under the newest key
) STRICT;

-- The ids of the keys in use; the newest is the current one. Never the keys themselves.
CREATE TABLE key (
    slot  INTEGER PRIMARY KEY AUTOINCREMENT,
    id    BLOB    NOT NULL UNIQUE CHECK (length(id) = 8),
    since INTEGER NOT NULL
) STRICT;

CREATE TABLE model (
    slot      INTEGER PRIMARY KEY,
    id        BLOB    NOT NULL UNIQUE CHECK (length(id) = 32),
    dimension INTEGER NOT NULL CHECK (dimension BETWEEN 1 AND 4096)
) STRICT;

CREATE TABLE subject (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    key               TEXT    NOT NULL,
    category          TEXT,
    birth             TEXT,                                   -- dates are YYYY-MM-DD
    nationality       TEXT,
    consent_given     INTEGER,
    consent_face      INTEGER,
    consent_finger    INTEGER,
    consent_withdrawn INTEGER,
    place             TEXT,
    method            TEXT,
    expires           TEXT,
    enrolled          INTEGER NOT NULL,
    revoked           INTEGER,
    reason            TEXT,
    code_key          INTEGER REFERENCES key (slot),          -- of the authentication code, which covers the documents too
    code              BLOB
) STRICT;
CREATE UNIQUE INDEX subject_key ON subject (key) WHERE revoked IS NULL;
CREATE INDEX subject_expires ON subject (expires) WHERE expires IS NOT NULL AND revoked IS NULL;
CREATE INDEX subject_revoked ON subject (revoked) WHERE revoked IS NOT NULL;

CREATE TABLE document (
    subject       INTEGER NOT NULL REFERENCES subject (id),
    place         INTEGER NOT NULL,
    kind          TEXT    NOT NULL,
    number_digest BLOB    NOT NULL CHECK (length(number_digest) = 32),
    valid_from    TEXT,
    expires       TEXT    NOT NULL,
    endorsements  TEXT    NOT NULL,                           -- a JSON list
    PRIMARY KEY (subject, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX document_number ON document (number_digest);

CREATE TABLE template (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    subject INTEGER NOT NULL REFERENCES subject (id),
    model   INTEGER NOT NULL REFERENCES model (slot),
    key     INTEGER NOT NULL REFERENCES key (slot),
    source  BLOB CHECK (length(source) = 32),                 -- SHA-256 of the image
    sealed  BLOB    NOT NULL                                  -- nonce, turned values (f32, little-endian) sealed, tag
) STRICT;
CREATE INDEX template_subject ON template (subject, model);
CREATE INDEX template_key ON template (key);

-- What changed other than by a new row, so that another process can follow without reading all again.
CREATE TABLE change (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    subject  INTEGER NOT NULL,
    template INTEGER                                          -- null: the subject's own row changed
) STRICT;
