-- What users are to be told: id is that of the event. A notice is tried to be told when it
-- is due, and was when told_at is not 0; it is kept until expires_at, so that the same is
-- not told too often.

-- +goose Up
CREATE TABLE notices (
    id             TEXT   NOT NULL PRIMARY KEY,
    user_id        TEXT   NOT NULL,
    type           TEXT   NOT NULL,
    at             BIGINT NOT NULL,
    client         TEXT   NOT NULL,
    address        TEXT   NOT NULL,
    grant_type     TEXT   NOT NULL,
    authenticators TEXT   NOT NULL,
    attempts       BIGINT NOT NULL,
    due_at         BIGINT NOT NULL,
    told_at        BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL
);
CREATE INDEX notices_due ON notices (due_at) WHERE told_at = 0;
CREATE INDEX notices_user ON notices (user_id, type, at);
CREATE INDEX notices_expiry ON notices (expires_at);
