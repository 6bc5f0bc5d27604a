-- Limits raised by hand, and what was pruned from the ledger while it still counts.
ALTER TABLE amount ADD COLUMN raised INTEGER NOT NULL DEFAULT 0;
ALTER TABLE amount ADD COLUMN raised_until INTEGER NOT NULL DEFAULT 0;

CREATE TABLE raise (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    scope INTEGER NOT NULL REFERENCES scope,
    counter INTEGER NOT NULL REFERENCES counter,
    amount INTEGER NOT NULL,       -- on top of every limit; zero ends it
    until INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT;

CREATE TABLE carried (
    scope INTEGER NOT NULL REFERENCES scope,
    counter INTEGER NOT NULL REFERENCES counter,
    until INTEGER NOT NULL,
    amount INTEGER NOT NULL,       -- of pruned calls in this period
    PRIMARY KEY (scope, counter, until)
) STRICT, WITHOUT ROWID;
