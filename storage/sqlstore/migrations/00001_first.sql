-- The first schema, one dialect for SQLite and PostgreSQL: times are milliseconds
-- since 1970 in UTC and 0 stands for "never", lists are JSON, secrets that are read
-- again are sealed text, all others are hashes.

-- +goose Up
CREATE TABLE users (
    id             TEXT    NOT NULL PRIMARY KEY,
    username       TEXT    NOT NULL,
    email          TEXT    NOT NULL,
    email_verified BOOLEAN NOT NULL,
    phone_number   TEXT    NOT NULL,
    name           TEXT    NOT NULL,
    blocked_at     BIGINT  NOT NULL,
    managed_by     TEXT    NOT NULL,
    created_at     BIGINT  NOT NULL,
    updated_at     BIGINT  NOT NULL,
    deleted_at     BIGINT  NOT NULL
);

-- One value names one user of a connection, whatever kind it is: nobody can take the
-- e-mail address of somebody else as a user name.
CREATE TABLE identifiers (
    connection TEXT NOT NULL,
    value      TEXT NOT NULL,
    kind       TEXT NOT NULL,
    user_id    TEXT NOT NULL REFERENCES users (id),
    PRIMARY KEY (connection, value)
);
CREATE INDEX identifiers_user ON identifiers (user_id);

CREATE TABLE passwords (
    user_id    TEXT   NOT NULL PRIMARY KEY REFERENCES users (id),
    hash       TEXT   NOT NULL,
    cost       TEXT   NOT NULL,
    changed_at BIGINT NOT NULL
);
CREATE INDEX passwords_cost ON passwords (cost);

CREATE TABLE user_failures (
    user_id  TEXT   NOT NULL PRIMARY KEY,
    failures BIGINT NOT NULL,
    last_at  BIGINT NOT NULL
);

CREATE TABLE clients (
    id          TEXT   NOT NULL PRIMARY KEY,
    definition  TEXT   NOT NULL,
    managed_by  TEXT   NOT NULL,
    disabled_at BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);

-- sealed holds a secret that must be read again, for clients that sign with it.
CREATE TABLE client_secrets (
    client_id  TEXT   NOT NULL REFERENCES clients (id),
    hash       TEXT   NOT NULL,
    sealed     TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (client_id, hash)
);

CREATE TABLE apis (
    audience   TEXT   NOT NULL PRIMARY KEY,
    definition TEXT   NOT NULL,
    managed_by TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- A deleted authenticator stays as a tombstone without its secret: every authenticator
-- that a user ever had is on record (SP 800-63B, 4.1).
CREATE TABLE authenticators (
    id             TEXT   NOT NULL PRIMARY KEY,
    user_id        TEXT   NOT NULL REFERENCES users (id),
    type           TEXT   NOT NULL,
    channel        TEXT   NOT NULL,
    handle         TEXT   NOT NULL,
    group_id       TEXT   NOT NULL,
    name           TEXT   NOT NULL,
    label          TEXT   NOT NULL,
    origin         TEXT   NOT NULL,
    sealed_secret  TEXT   NOT NULL,
    algorithm      TEXT   NOT NULL,
    digits         BIGINT NOT NULL,
    period_seconds BIGINT NOT NULL,
    last_step      BIGINT NOT NULL,
    failures       BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    confirmed_at   BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    last_auth_at   BIGINT NOT NULL,
    disabled_at    BIGINT NOT NULL,
    deleted_at     BIGINT NOT NULL,
    deleted_by     TEXT   NOT NULL
);
CREATE INDEX authenticators_user ON authenticators (user_id);

CREATE TABLE recovery_codes (
    authenticator_id TEXT   NOT NULL REFERENCES authenticators (id),
    hash             TEXT   NOT NULL,
    generation       BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    used_at          BIGINT NOT NULL,
    PRIMARY KEY (authenticator_id, hash)
);

CREATE TABLE sessions (
    id         TEXT   NOT NULL PRIMARY KEY,
    user_id    TEXT   NOT NULL REFERENCES users (id),
    client_id  TEXT   NOT NULL REFERENCES clients (id),
    created_at BIGINT NOT NULL,
    auth_time  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

CREATE TABLE session_proofs (
    session_id       TEXT   NOT NULL REFERENCES sessions (id),
    n                BIGINT NOT NULL,
    methods          TEXT   NOT NULL,
    authenticator_id TEXT   NOT NULL,
    at               BIGINT NOT NULL,
    PRIMARY KEY (session_id, n)
);

-- A token of a client that acts for itself has neither session nor user.
CREATE TABLE access_tokens (
    id             TEXT   NOT NULL PRIMARY KEY,
    session_id     TEXT   REFERENCES sessions (id),
    client_id      TEXT   NOT NULL REFERENCES clients (id),
    user_id        TEXT   REFERENCES users (id),
    audience       TEXT   NOT NULL,
    scopes         TEXT   NOT NULL,
    issued_at      BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    revoked_at     BIGINT NOT NULL,
    key_thumbprint TEXT
);
CREATE INDEX access_tokens_session ON access_tokens (session_id);
CREATE INDEX access_tokens_expiry ON access_tokens (expires_at);

CREATE TABLE refresh_families (
    id             TEXT   NOT NULL PRIMARY KEY,
    session_id     TEXT   NOT NULL REFERENCES sessions (id),
    client_id      TEXT   NOT NULL REFERENCES clients (id),
    user_id        TEXT   NOT NULL REFERENCES users (id),
    created_at     BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    revoked_at     BIGINT NOT NULL,
    key_thumbprint TEXT
);
CREATE INDEX refresh_families_session ON refresh_families (session_id);

CREATE TABLE refresh_tokens (
    hash       TEXT   NOT NULL PRIMARY KEY,
    family_id  TEXT   NOT NULL REFERENCES refresh_families (id),
    audience   TEXT   NOT NULL,
    scopes     TEXT   NOT NULL,
    issued_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL,
    successor  TEXT
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (family_id);
CREATE INDEX refresh_tokens_expiry ON refresh_tokens (expires_at);

-- The fence: whatever the state store lost or brought back, what has a row here is
-- over.
CREATE TABLE redemptions (
    kind       TEXT   NOT NULL,
    hash       TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (kind, hash)
);
CREATE INDEX redemptions_expiry ON redemptions (expires_at);

-- serial counts the keys of an algorithm, so that of many nodes that make the first
-- one only one does.
CREATE TABLE signing_keys (
    id             TEXT   NOT NULL PRIMARY KEY,
    algorithm      TEXT   NOT NULL,
    serial         BIGINT NOT NULL,
    sealed_private TEXT   NOT NULL,
    created_at     BIGINT NOT NULL,
    retired_at     BIGINT NOT NULL,
    UNIQUE (algorithm, serial)
);

-- id sorts by time. seal_seq and seal_mac link rows once they are sealed.
CREATE TABLE audit_events (
    id             TEXT    NOT NULL PRIMARY KEY,
    at             BIGINT  NOT NULL,
    type           TEXT    NOT NULL,
    success        BOOLEAN NOT NULL,
    reason         TEXT    NOT NULL,
    subject        TEXT    NOT NULL,
    client         TEXT    NOT NULL,
    session        TEXT    NOT NULL,
    authenticators TEXT    NOT NULL,
    grant_type     TEXT    NOT NULL,
    address        TEXT    NOT NULL,
    seal_seq       BIGINT  UNIQUE,
    seal_mac       TEXT
);
CREATE INDEX audit_events_subject ON audit_events (subject, id);

CREATE TABLE revision (
    id    BIGINT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO revision (id, value) VALUES (1, 1);

CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
