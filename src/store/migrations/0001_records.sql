-- SPDX-License-Identifier: Apache-2.0
CREATE TABLE facts (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE secrets (
    id      TEXT NOT NULL PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    private INTEGER NOT NULL DEFAULT 0,
    user    TEXT NOT NULL,
    created TEXT NOT NULL,
    updated TEXT NOT NULL
);

-- value: nonce and ciphertext, bound to secret_id and key
CREATE TABLE secret_values (
    secret_id TEXT NOT NULL REFERENCES secrets (id) ON DELETE CASCADE,
    key       TEXT NOT NULL,
    value     BLOB NOT NULL,
    PRIMARY KEY (secret_id, key)
) WITHOUT ROWID;

CREATE TABLE components (
    id      TEXT NOT NULL PRIMARY KEY,
    name    TEXT NOT NULL,
    type    TEXT NOT NULL,
    flavor  TEXT NOT NULL,
    config  TEXT NOT NULL DEFAULT '{}',
    labels  TEXT NOT NULL DEFAULT '{}',
    env     TEXT NOT NULL DEFAULT '{}',
    secrets TEXT NOT NULL DEFAULT '[]',
    user    TEXT NOT NULL,
    created TEXT NOT NULL,
    updated TEXT NOT NULL,
    UNIQUE (type, name)
);

CREATE TABLE stacks (
    id      TEXT NOT NULL PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    labels  TEXT NOT NULL DEFAULT '{}',
    env     TEXT NOT NULL DEFAULT '{}',
    secrets TEXT NOT NULL DEFAULT '[]',
    user    TEXT NOT NULL,
    created TEXT NOT NULL,
    updated TEXT NOT NULL
);

CREATE TABLE stack_components (
    stack_id     TEXT NOT NULL REFERENCES stacks (id) ON DELETE CASCADE,
    type         TEXT NOT NULL,
    component_id TEXT NOT NULL REFERENCES components (id) ON DELETE RESTRICT,
    PRIMARY KEY (stack_id, type)
) WITHOUT ROWID;
CREATE INDEX stack_components_component ON stack_components (component_id);

CREATE TABLE pipelines (
    id      TEXT NOT NULL PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    source  TEXT,
    user    TEXT NOT NULL,
    created TEXT NOT NULL,
    updated TEXT NOT NULL
);

CREATE TABLE snapshots (
    id          TEXT NOT NULL PRIMARY KEY,
    name        TEXT,
    description TEXT,
    tags        TEXT NOT NULL DEFAULT '[]',
    pipeline_id TEXT NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
    stack_id    TEXT REFERENCES stacks (id) ON DELETE SET NULL,
    digest      TEXT NOT NULL,
    document    TEXT NOT NULL,
    source_root TEXT,
    python      TEXT,
    user        TEXT NOT NULL,
    created     TEXT NOT NULL,
    updated     TEXT NOT NULL,
    UNIQUE (pipeline_id, name)
);
CREATE INDEX snapshots_digest ON snapshots (digest);
CREATE INDEX snapshots_stack ON snapshots (stack_id);

CREATE TABLE builds (
    id          TEXT NOT NULL PRIMARY KEY,
    snapshot_id TEXT REFERENCES snapshots (id) ON DELETE CASCADE,
    digest      TEXT,
    image       TEXT,
    kind        TEXT,
    metadata    TEXT NOT NULL DEFAULT '{}',
    user        TEXT NOT NULL,
    created     TEXT NOT NULL
);
CREATE INDEX builds_snapshot ON builds (snapshot_id);

CREATE TABLE deployments (
    id                   TEXT NOT NULL PRIMARY KEY,
    name                 TEXT NOT NULL UNIQUE,
    pipeline             TEXT,
    snapshot_id          TEXT REFERENCES snapshots (id) ON DELETE RESTRICT,
    previous_snapshot_id TEXT REFERENCES snapshots (id) ON DELETE SET NULL,
    stack_id             TEXT REFERENCES stacks (id) ON DELETE SET NULL,
    deployer_id          TEXT REFERENCES components (id) ON DELETE SET NULL,
    flavor               TEXT,
    status               TEXT NOT NULL DEFAULT 'absent',
    url                  TEXT,
    page_url             TEXT,
    auth_key             BLOB,
    settings             TEXT NOT NULL DEFAULT '{}',
    metadata             TEXT NOT NULL DEFAULT '{}',
    error                TEXT,
    user                 TEXT NOT NULL,
    created              TEXT NOT NULL,
    updated              TEXT NOT NULL
);
CREATE INDEX deployments_snapshot ON deployments (snapshot_id);
CREATE INDEX deployments_previous ON deployments (previous_snapshot_id);
CREATE INDEX deployments_stack ON deployments (stack_id);
CREATE INDEX deployments_deployer ON deployments (deployer_id);

CREATE TABLE events (
    id            TEXT NOT NULL PRIMARY KEY,
    deployment_id TEXT NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    at            TEXT NOT NULL,
    what          TEXT NOT NULL,
    detail        TEXT
);
CREATE INDEX events_deployment ON events (deployment_id, at);

CREATE TABLE runs (
    id            TEXT NOT NULL PRIMARY KEY,
    name          TEXT,
    deployment_id TEXT REFERENCES deployments (id) ON DELETE SET NULL,
    pipeline      TEXT,
    status        TEXT NOT NULL,
    started       TEXT NOT NULL,
    duration      REAL,
    error         TEXT
);
CREATE INDEX runs_deployment ON runs (deployment_id, started);
