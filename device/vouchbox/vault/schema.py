"""The tables of the vault's database, as the steps that lead from each version of it to the next.

Step N of MIGRATIONS makes version N + 1 out of version N; an empty database is version 0. A step that has
shipped is never edited: what changes later is a new step at the end. Only text; store.py runs it.
"""

from __future__ import annotations

_VERSION_1 = """
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE session (
    session TEXT PRIMARY KEY, request BLOB NOT NULL, started INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE nonce (
    party TEXT NOT NULL, nonce TEXT NOT NULL, jti TEXT NOT NULL,
    expires INTEGER NOT NULL, seen INTEGER NOT NULL,
    PRIMARY KEY (party, nonce), UNIQUE (party, jti)
) WITHOUT ROWID;
CREATE INDEX nonce_expires ON nonce (expires);
CREATE TABLE outbox (
    row INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL, party TEXT NOT NULL, topic TEXT NOT NULL,
    payload BLOB NOT NULL, content_type TEXT NOT NULL, correlation BLOB NOT NULL,
    sha256 TEXT NOT NULL
);
CREATE INDEX outbox_digest ON outbox (party, sha256);
CREATE INDEX outbox_session ON outbox (session);
CREATE TABLE egress (
    entry INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, topic TEXT NOT NULL,
    size INTEGER NOT NULL, sha256 TEXT NOT NULL
);
CREATE TABLE audit (
    entry INTEGER PRIMARY KEY, time INTEGER NOT NULL, event TEXT NOT NULL, detail TEXT NOT NULL,
    head BLOB NOT NULL
);
CREATE TRIGGER audit_is_not_edited BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'append only'); END;
"""

# The replay window's mark and the epochs are kept for each party; what left has an answer; age is counted
# from boots, which no jump of the wall moves.
_VERSION_2 = """
CREATE TABLE epoch (party TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;
CREATE TRIGGER epoch_never_goes_back BEFORE UPDATE ON epoch WHEN NEW.epoch < OLD.epoch
BEGIN SELECT RAISE(ABORT, 'an epoch never goes back'); END;
CREATE TRIGGER epoch_is_not_forgotten BEFORE DELETE ON epoch
BEGIN SELECT RAISE(ABORT, 'an epoch is never forgotten'); END;
CREATE TABLE party_time (
    party TEXT PRIMARY KEY, forgotten INTEGER NOT NULL DEFAULT 0, issued INTEGER NOT NULL DEFAULT 0,
    boot INTEGER NOT NULL DEFAULT 0, uptime INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX nonce_party ON nonce (party, expires);
ALTER TABLE egress ADD COLUMN answer TEXT NOT NULL DEFAULT 'taken';
CREATE INDEX egress_open ON egress (sha256) WHERE answer = 'open';
"""

# What was asked, compared and failed in the last hour, for the limits.
_VERSION_3 = """
CREATE TABLE attempt (
    entry INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, party TEXT NOT NULL,
    reference BLOB NOT NULL, boot INTEGER NOT NULL, uptime INTEGER NOT NULL
);
CREATE INDEX attempt_kind ON attempt (kind, party, reference);
"""

# A receipt's id is the digest of its withdrawal code, which is kept nowhere.
_VERSION_4 = """
CREATE TABLE receipt (
    receipt TEXT PRIMARY KEY, session TEXT NOT NULL UNIQUE, party TEXT NOT NULL, token BLOB NOT NULL,
    issued INTEGER NOT NULL, until INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX receipt_until ON receipt (until);
CREATE TABLE withdrawal (
    withdrawal TEXT PRIMARY KEY, receipt TEXT NOT NULL UNIQUE, verdict TEXT NOT NULL, party TEXT NOT NULL,
    box TEXT NOT NULL, asked INTEGER NOT NULL, erased INTEGER, erasure BLOB
) WITHOUT ROWID;
"""

MIGRATIONS = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4)
SCHEMA_VERSION = len(MIGRATIONS)
