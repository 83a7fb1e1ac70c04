-- further_uses counts the uses of a refresh token within its leeway, after the first.
-- What a token was replaced by is never asked.

-- +goose Up
ALTER TABLE refresh_tokens ADD COLUMN further_uses BIGINT NOT NULL DEFAULT 0;
ALTER TABLE refresh_tokens DROP COLUMN successor;
