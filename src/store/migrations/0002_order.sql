-- SPDX-License-Identifier: Apache-2.0
-- Lists show the newest first: their pages are found without reading all records.
CREATE INDEX deployments_created ON deployments (created);
CREATE INDEX snapshots_created ON snapshots (created);
CREATE INDEX builds_created ON builds (created);
CREATE INDEX runs_started ON runs (started);
