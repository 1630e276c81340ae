-- SPDX-License-Identifier: Apache-2.0
-- References by name, and the question whether kept code is still needed, without reading all records.
-- The digest of the code has a column of its own: functions of JSON may not be part of the schema.
CREATE INDEX components_name ON components (name);
CREATE INDEX snapshots_name ON snapshots (name);
ALTER TABLE snapshots ADD COLUMN code_digest TEXT;
UPDATE snapshots SET code_digest = json_extract(document, '$.code.digest');
CREATE INDEX snapshots_code ON snapshots (code_digest);
