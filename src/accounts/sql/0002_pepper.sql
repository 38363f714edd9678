-- Schema 2. With which key of the digests a digest was made, by its name; none = the one that was there
-- before this step, or the only one.
ALTER TABLE api_key ADD COLUMN pepper TEXT;
