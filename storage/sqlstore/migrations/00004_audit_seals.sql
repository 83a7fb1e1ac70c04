-- The seals of the audit: each row has the hash of the chain up to it beside its MAC, and
-- the sealer notes the last one in audit_head, whose lock makes nodes seal one at a time.
-- transaction_id joins what belongs to one login.

-- +goose Up
ALTER TABLE audit_events ADD COLUMN seal_hash TEXT;
ALTER TABLE audit_events ADD COLUMN transaction_id TEXT NOT NULL DEFAULT '';
CREATE INDEX audit_events_unsealed ON audit_events (id) WHERE seal_seq IS NULL;
CREATE INDEX audit_events_transaction ON audit_events (transaction_id) WHERE transaction_id <> '';

CREATE TABLE audit_head (
    id   BIGINT NOT NULL PRIMARY KEY,
    seq  BIGINT NOT NULL,
    hash TEXT   NOT NULL,
    mac  TEXT   NOT NULL
);
INSERT INTO audit_head (id, seq, hash, mac) VALUES (1, 0, '', '');
