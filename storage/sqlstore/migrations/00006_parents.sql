-- parent is the access token that another one was had for, without a further proof.
-- failures counts the wrong second factors under step-ups of a session, since it last
-- proved one.

-- +goose Up
ALTER TABLE access_tokens ADD COLUMN parent TEXT;
CREATE INDEX access_tokens_parent ON access_tokens (parent);
ALTER TABLE sessions ADD COLUMN failures BIGINT NOT NULL DEFAULT 0;
