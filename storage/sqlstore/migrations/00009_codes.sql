-- sealed_address is where the codes of an authenticator go.
-- The row of an authenticator in codes says which challenge its code is for, and how many
-- wrong ones came back. unanswered are the buckets, as a list, that get one back when the
-- right one comes. The limits of messages are rows of password_attempts.

-- +goose Up
ALTER TABLE authenticators ADD COLUMN sealed_address TEXT NOT NULL DEFAULT '';

CREATE TABLE codes (
    authenticator_id TEXT   NOT NULL PRIMARY KEY,
    user_id          TEXT   NOT NULL REFERENCES users (id),
    challenge        TEXT   NOT NULL,
    wrong            BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL,
    unanswered       TEXT   NOT NULL
);
CREATE INDEX codes_expiry ON codes (expires_at);
