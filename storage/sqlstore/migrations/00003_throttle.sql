-- recent holds the times of a user's wrong second factors in the last day, as a list.
-- A bucket of password attempts is as full as full_until is ahead of the clock.

-- +goose Up
ALTER TABLE user_failures ADD COLUMN recent TEXT NOT NULL DEFAULT '[]';

CREATE TABLE password_attempts (
    bucket     TEXT   NOT NULL PRIMARY KEY,
    full_until BIGINT NOT NULL
);
CREATE INDEX password_attempts_end ON password_attempts (full_until);
