-- A device belongs to one authenticator, which has its name. sealed_token is what its
-- push service calls it. Whatever sweeps an authenticator that nobody confirmed, on a node of
-- whatever version, takes its device along.
-- What is known of the pushes of a user: the last one, and how it was answered; the
-- times of those of an hour, as a list; and how many in a row were refused. Logins that
-- had begun at voided_at are over. reported_at stays until the password is changed.
-- The limit of the gateway is a row of password_attempts.

-- +goose Up
CREATE TABLE devices (
    id               TEXT   NOT NULL PRIMARY KEY,
    authenticator_id TEXT   NOT NULL UNIQUE REFERENCES authenticators (id) ON DELETE CASCADE,
    identifier       TEXT   NOT NULL,
    service          TEXT   NOT NULL,
    sealed_token     TEXT   NOT NULL,
    public_key       TEXT   NOT NULL,
    token_hash       TEXT   NOT NULL,
    enrolled_at      BIGINT NOT NULL,
    endpoint_gone_at BIGINT NOT NULL
);

CREATE TABLE pushes (
    user_id          TEXT    NOT NULL PRIMARY KEY REFERENCES users (id),
    challenge        TEXT    NOT NULL,
    handle           TEXT    NOT NULL,
    authenticator_id TEXT    NOT NULL,
    client_id        TEXT    NOT NULL,
    address          TEXT    NOT NULL,
    expires_at       BIGINT  NOT NULL,
    answer           TEXT    NOT NULL,
    recent           TEXT    NOT NULL,
    refusals         BIGINT  NOT NULL,
    refused_at       BIGINT  NOT NULL,
    denied           BOOLEAN NOT NULL,
    reported_at      BIGINT  NOT NULL,
    voided_at        BIGINT  NOT NULL
);
CREATE INDEX pushes_expiry ON pushes (expires_at);
