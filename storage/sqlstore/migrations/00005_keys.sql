-- A signing key is published before it signs; 0 is a key that always did.
--
-- sealing_keys are the keys of the ring that seal or sealed: the one with the latest
-- since does. ring_holders are the nodes that run, with the keys that each can open with.

-- +goose Up
ALTER TABLE signing_keys ADD COLUMN signs_at BIGINT NOT NULL DEFAULT 0;

CREATE TABLE sealing_keys (
    id    TEXT   NOT NULL PRIMARY KEY,
    since BIGINT NOT NULL
);

CREATE TABLE ring_holders (
    node    TEXT   NOT NULL PRIMARY KEY,
    keys    TEXT   NOT NULL,
    sealing TEXT   NOT NULL,
    seen_at BIGINT NOT NULL
);
