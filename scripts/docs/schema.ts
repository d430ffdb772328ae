/** Writes `llamero.schema.json`, with which editors check and complete a file of settings: `npm run tables`. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Settings from "../../src/layers/Settings.ts"
import { root } from "../exports.ts"

export const file = join(root, "llamero.schema.json")

/** The text of the file. */
export const schema = (): string => JSON.stringify(Settings.jsonSchema(), undefined, 2) + "\n"

if (import.meta.main) writeFileSync(file, schema())
