-- code: EVO101
-- version: 1
-- applicability: quarantine
-- hazards: deletes-rows changes-rows blocks-writes limits-undo
-- each: reference
-- after 2.0.0-beta..: the API no longer sees the removed rows. Nothing else changes for it.
-- The rows are treated first, by sql/quarantine, as the key itself would have done when the row they refer to went:
-- CASCADE removes them, SET NULL empties the column. RESTRICT would have kept that row, which is too late now: the
-- column is emptied where it may be null, otherwise the row is removed.

-- Where the constraint is missing.
ALTER TABLE :child
    ADD CONSTRAINT :"constraint" :definition NOT VALID;

-- Where it is missing, or was never validated.
ALTER TABLE :child
    VALIDATE CONSTRAINT :"constraint";
