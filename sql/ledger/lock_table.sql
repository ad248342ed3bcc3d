-- One table of several that are locked in one message. All statements of a message have its statement_timestamp(): from then on
-- they take no longer, all together, than the moment, in milliseconds.
SELECT
    pg_catalog.set_config(
        'statement_timeout',
        CAST(
            GREATEST(
                1,
                :'moment'::bigint - CAST(
                    1000 * EXTRACT(
                        EPOCH
                        FROM
                            pg_catalog.clock_timestamp() - pg_catalog.statement_timestamp()
                    ) AS bigint
                )
            ) AS text
        ),
        true
    ) AS statement_timeout;

LOCK TABLE :table IN :mode MODE;
