-- code: EVO101
-- Rows that refer to nothing cannot come back under a live constraint. After them it is put back as it was, NOT VALID
-- or not at all.
ALTER TABLE :child
    DROP CONSTRAINT :"constraint";
