/**
 * The JSON Schema of a file of settings, for editors.
 *
 * @since 0.1.0
 */
import * as Names from "./names.ts"
import type { JsonSchema } from "./natural.ts"
import type { Table } from "./read.ts"
import { isForFile } from "./sources.ts"

/** A setting may be named by its key in a file, where its meaning names variables. */
const inFile = (meaning: string, names: ReadonlyArray<string>): string =>
  meaning.replaceAll(/\b(LLAMERO|OTEL|OLLAMA)_[A-Z_]+\b/g, (name) => names.includes(name) ? Names.keyOf(name) : name)

/** @internal */
export const jsonSchema = (table: Table): JsonSchema => {
  const variables = Object.values(table).filter(({ name }) => isForFile(name))
  const names = variables.map(({ name }) => name)
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "llamero",
    description: "Settings of the llamero router: llamero.json or llamero.yaml",
    type: "object",
    properties: {
      $schema: { type: "string", description: "The schema of this file" },
      ...Object.fromEntries(
        variables.map(({ meaning, name, natural, shown }) => [
          Names.keyOf(name),
          { description: inFile(meaning, names) + (shown === "" ? "" : ` (default: ${shown})`), ...natural.schema },
        ]),
      ),
    },
    additionalProperties: false,
  }
}
