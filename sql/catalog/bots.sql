-- types: 'typebot', 'openai', 'dify', 'evolution', 'flowise', 'n8n', 'evoai'
-- tables: 'Typebot', 'OpenaiBot', 'Dify', 'EvolutionBot', 'Flowise', 'N8n', 'Evoai'
-- The bots of all kinds, in checks and in rows of fixes as :bots. The header lists the kinds: as "IntegrationSession"."type" names
-- them (:bot_types), and their tables (:bot_tables).
-- Run by hand: psql -v schema=public -f sql/catalog/bots.sql
SELECT "id" FROM :"schema"."Typebot"
UNION ALL SELECT "id" FROM :"schema"."OpenaiBot"
UNION ALL SELECT "id" FROM :"schema"."Dify"
-- only with EvolutionBot
UNION ALL SELECT "id" FROM :"schema"."EvolutionBot"
-- end
-- only with Flowise
UNION ALL SELECT "id" FROM :"schema"."Flowise"
-- end
-- only with N8n
UNION ALL SELECT "id" FROM :"schema"."N8n"
-- end
-- only with Evoai
UNION ALL SELECT "id" FROM :"schema"."Evoai"
-- end
;
