// prisma migrate deploy with the schema engine that its npm package holds (WebAssembly): the binary one comes from a server that
// a test should not need.
import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import { defineConfig } from 'prisma/config'

// The engine asks for current_schema(), which is of the type name, and this adapter knows text only.
const [NAME, TEXT] = [19, 25]
const addFields = pg.Result.prototype.addFields
pg.Result.prototype.addFields = function (fields) {
  for (const field of fields) if (field.dataTypeID === NAME) field.dataTypeID = TEXT
  return addFields.call(this, fields)
}

// One connection, which stays: the engine takes its advisory lock in a session, and goes on in the same one.
const pool = { connectionString: process.env.DATABASE_URL, max: 1, idleTimeoutMillis: 2000 }

export default defineConfig({
  experimental: { adapter: true },
  engine: 'js',
  schema: 'schema.prisma',
  migrations: { path: process.env.MIGRATIONS },
  adapter: async () => new PrismaPg(pool),
})
