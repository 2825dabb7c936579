-- Version 3: one authenticated state. Every row carries its encoding's version and is bound to the one row of `root`.
-- (Foreign keys are off while this runs: tables are made anew under their names.)

ALTER TABLE register ADD COLUMN record_secret BLOB NOT NULL DEFAULT x'';   -- sealed under the newest key
ALTER TABLE register ADD COLUMN encoding INTEGER NOT NULL DEFAULT 3;
ALTER TABLE key ADD COLUMN encoding INTEGER NOT NULL DEFAULT 3;
ALTER TABLE model ADD COLUMN encoding INTEGER NOT NULL DEFAULT 3;
ALTER TABLE document ADD COLUMN encoding INTEGER NOT NULL DEFAULT 3;
ALTER TABLE template ADD COLUMN encoding INTEGER NOT NULL DEFAULT 3;
ALTER TABLE change ADD COLUMN encoding INTEGER NOT NULL DEFAULT 3;
ALTER TABLE claim ADD COLUMN encoding INTEGER NOT NULL DEFAULT 3;

-- A subject's row and its documents are bound by a leaf of the subjects' tree, and need no codes of their own.
CREATE TABLE subject_3 (
    id                INTEGER PRIMARY KEY,
    key               TEXT    NOT NULL,
    category          TEXT,
    birth             TEXT,
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
    encoding          INTEGER NOT NULL
) STRICT;
INSERT INTO subject_3 SELECT id, key, category, birth, nationality, consent_given, consent_face, consent_finger,
    consent_withdrawn, place, method, expires, enrolled, revoked, reason, 3 FROM subject;
DROP TABLE subject;
ALTER TABLE subject_3 RENAME TO subject;
CREATE UNIQUE INDEX subject_key ON subject (key) WHERE revoked IS NULL;
CREATE INDEX subject_expires ON subject (expires) WHERE expires IS NOT NULL AND revoked IS NULL;
CREATE INDEX subject_revoked ON subject (revoked) WHERE revoked IS NOT NULL;

-- Records of encoding 1 are linked without a key.
ALTER TABLE record ADD COLUMN voids INTEGER;                 -- the record that this one takes back
ALTER TABLE record ADD COLUMN encoding INTEGER NOT NULL DEFAULT 1;

-- The hashes of 128 leaves or nodes each, of which the trees are made.
CREATE TABLE node (
    id     INTEGER PRIMARY KEY,                               -- tree << 56 | level, counted from the top, << 48 | place
    hashes BLOB    NOT NULL
) STRICT;

CREATE TABLE root (
    only          INTEGER PRIMARY KEY CHECK (only = 1),
    version       INTEGER NOT NULL,                           -- counts every change
    key           INTEGER NOT NULL REFERENCES key (slot),     -- that authenticates this row
    subjects      BLOB    NOT NULL CHECK (length(subjects) = 32),
    templates     BLOB    NOT NULL CHECK (length(templates) = 32),
    claims        BLOB    NOT NULL CHECK (length(claims) = 32),
    roster        BLOB    NOT NULL CHECK (length(roster) = 32),
    last_subject  INTEGER NOT NULL,
    last_template INTEGER NOT NULL,
    last_change   INTEGER NOT NULL,
    change_hash   BLOB    NOT NULL CHECK (length(change_hash) = 32),
    first_record  INTEGER NOT NULL,                           -- the oldest record that is kept
    hash_before   BLOB    NOT NULL CHECK (length(hash_before) = 32),
    last_record   INTEGER NOT NULL,                           -- the newest record
    record_hash   BLOB    NOT NULL CHECK (length(record_hash) = 32),
    keyed_from    INTEGER NOT NULL,                           -- the first record whose link is keyed
    clock         INTEGER,                                    -- the newest plausible time of a record
    faults        INTEGER NOT NULL,                           -- faults that were noted,
    cleared       INTEGER NOT NULL,                           -- and those that a check has looked into since
    checked       INTEGER,                                    -- the last check, and how many problems it found
    problems      INTEGER NOT NULL,
    deleted       INTEGER NOT NULL,                           -- the version of the newest deletion,
    erased        INTEGER NOT NULL,                           -- and up to which the files hold nothing that was deleted
    witnessed     INTEGER NOT NULL,                           -- 1: a witness follows it
    code          BLOB    NOT NULL CHECK (length(code) = 32), -- over all the others
    encoding      INTEGER NOT NULL
) STRICT;

DROP TABLE chain;
DROP TABLE inspection;
