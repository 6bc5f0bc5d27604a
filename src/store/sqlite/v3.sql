-- What was pruned from the ledger. A missing number does not tell: that of a call whose
-- transaction failed is missing as well, and calls that were open are left in between.
ALTER TABLE store ADD COLUMN pruned INTEGER NOT NULL DEFAULT 0;      -- calls
ALTER TABLE store ADD COLUMN pruned_to INTEGER NOT NULL DEFAULT 0;   -- when the last was decided

-- Of what was pruned before, numbers are missing at the front.
UPDATE store SET
    pruned = first.id - 1 - (SELECT count(*) FROM call WHERE id < first.id),
    pruned_to = first.at
FROM (
    SELECT id, at FROM call WHERE outcome <> 'open'
    UNION ALL SELECT last_call + 1, now FROM store
    ORDER BY id LIMIT 1
) AS first;
