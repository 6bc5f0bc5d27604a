-- Times are nanoseconds since 1970, amounts nano-dollars or calls. Both are u64 in the
-- program and the same 64 bits here, so what is above 2^63 reads as negative.

-- One row about the file.
CREATE TABLE store (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    identity INTEGER NOT NULL,     -- random; tells this file from others
    now INTEGER NOT NULL,          -- the latest time seen: time never runs backwards
    last_call INTEGER NOT NULL,    -- numbers of calls are given out once
    epoch INTEGER NOT NULL         -- grows when settled spend falls or a limit changes
) STRICT;

-- A workspace (label is null), or one of its labels.
CREATE TABLE family (
    id INTEGER PRIMARY KEY,
    workspace TEXT NOT NULL,
    label TEXT
) STRICT;
CREATE UNIQUE INDEX family_name ON family (workspace, label IS NULL, ifnull(label, ''));

-- What is counted for each scope of a family: unit is cost or calls, window as in
-- `month UTC`, `day Europe/Berlin`, `lifetime`, `sliding 60000000000`.
CREATE TABLE counter (
    id INTEGER PRIMARY KEY,
    family INTEGER NOT NULL REFERENCES family,
    unit TEXT NOT NULL,
    window TEXT NOT NULL,
    UNIQUE (family, unit, window)
) STRICT;

-- The workspace itself (value ''), or one value of a label.
CREATE TABLE scope (
    id INTEGER PRIMARY KEY,
    family INTEGER NOT NULL REFERENCES family,
    value TEXT NOT NULL,
    UNIQUE (family, value)
) STRICT;

-- What a counter holds for a scope, as of the last time it was touched.
CREATE TABLE amount (
    scope INTEGER NOT NULL REFERENCES scope,
    counter INTEGER NOT NULL REFERENCES counter,
    used INTEGER NOT NULL,         -- settled and reserved
    open INTEGER NOT NULL,         -- reserved
    until INTEGER NOT NULL,        -- when the newest part stops counting
    past BLOB,                     -- the older parts of a sliding window
    cap INTEGER,                   -- the smallest limit of the last call that had one
    PRIMARY KEY (scope, counter)
) STRICT, WITHOUT ROWID;

-- The ledger: one row per call, in the order of time.
CREATE TABLE call (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    outcome TEXT NOT NULL,         -- open, expired, denied, or how it settled
    deadline INTEGER,              -- while it is open
    estimate INTEGER NOT NULL,
    cost INTEGER NOT NULL,         -- zero while it is open
    charges BLOB,                  -- which counters of which scopes it is on; null if denied
    workspace TEXT,
    provider TEXT,
    operation TEXT,
    requested_model TEXT,
    model TEXT,                    -- as sent
    answered_model TEXT,           -- as the answer named it
    labels TEXT,                   -- a JSON object
    prices TEXT,                   -- the day of the price list
    rule TEXT,                     -- that denied it, or while observing would have
    input_tokens INTEGER,
    cached_input_tokens INTEGER,
    cache_write_tokens INTEGER,
    cache_write_1h_tokens INTEGER,
    input_audio_tokens INTEGER,
    cached_audio_tokens INTEGER,
    output_tokens INTEGER,
    reasoning_tokens INTEGER,
    output_audio_tokens INTEGER,
    web_searches INTEGER
) STRICT;
CREATE INDEX call_due ON call (deadline) WHERE deadline IS NOT NULL;

-- What ended calls cost, by the UTC day of their decision, for each scope they charged.
CREATE TABLE daily (
    family INTEGER NOT NULL REFERENCES family,
    day INTEGER NOT NULL,          -- since 1970-01-01
    scope INTEGER NOT NULL REFERENCES scope,
    model TEXT NOT NULL,           -- that answered, else as sent, else ''
    calls INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    estimate INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    cached_input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    PRIMARY KEY (family, day, scope, model)
) STRICT, WITHOUT ROWID;

-- Calls denied, by day and rule.
CREATE TABLE denied (
    workspace TEXT NOT NULL,
    day INTEGER NOT NULL,
    rule TEXT NOT NULL,
    calls INTEGER NOT NULL,
    estimate INTEGER NOT NULL,
    PRIMARY KEY (workspace, day, rule)
) STRICT, WITHOUT ROWID;

-- Settled spend that was changed otherwise than by calls.
CREATE TABLE adjustment (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    scope INTEGER NOT NULL REFERENCES scope,
    counter INTEGER NOT NULL REFERENCES counter,
    until INTEGER NOT NULL,        -- of the period it changed
    delta INTEGER NOT NULL,        -- signed; what was really added
    reason TEXT NOT NULL
) STRICT;
