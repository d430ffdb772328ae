/**
 * Reads the file of API keys: `{"keys": [{"id": "ci", "sha256": "…", "tenant": "build"}]}`.
 *
 * @since 0.1.0
 */
import { Option, Schema } from "effect"
import type { Grant } from "../../services/ApiKeys.ts"
import * as ModelName from "../../services/ModelName.ts"
import type { KeyEntry } from "./table.ts"

const File = Schema.fromJsonString(
  Schema.Struct({ keys: Schema.Array(Schema.Record(Schema.String, Schema.Unknown)) }),
)

/** What a field of a key must hold. */
interface Field {
  /** The requirement in words: part of the error. */
  readonly wanted: string
  readonly needed?: boolean
  readonly is: (value: unknown) => boolean
}

const name: Field = { wanted: "a name of 1 to 128 letters, digits and . _ : @ / -", is: isName }
const limit: Field = {
  wanted: "a whole number of at least 1",
  is: (value) => Number.isSafeInteger(value) && Number(value) >= 1,
}

const fields: Readonly<Record<string, Field>> = {
  id: { ...name, needed: true },
  sha256: {
    wanted: "64 hex digits",
    needed: true,
    is: (value) => typeof value === "string" && /^[0-9a-f]{64}$/i.test(value),
  },
  tenant: name,
  models: {
    wanted: "a list of names of models",
    is: (value) => Array.isArray(value) && value.every((each) => typeof each === "string" && each !== ""),
  },
  requestsPerMinute: limit,
  tokensPerMinute: limit,
  concurrent: limit,
  priority: {
    wanted: "interactive, default or batch",
    is: (value) => ["interactive", "default", "batch"].includes(String(value)),
  },
}

function isName(value: unknown): boolean {
  return typeof value === "string" && /^[\w.:@/-]{1,128}$/.test(value)
}

type Row = Readonly<Record<string, unknown>>

/** The first fault of a row. It says where and what is wanted, and never quotes the value, which may be a key. */
const fault = (row: Row, at: number): string | undefined => {
  for (const [field, { is, needed, wanted }] of Object.entries(fields)) {
    if (row[field] === undefined ? needed === true : !is(row[field])) return `keys[${at}].${field} must be ${wanted}`
  }
  const known = Object.keys(row).every((field) => Object.hasOwn(fields, field))
  return known ? undefined : `keys[${at}] has a field that is none of ${Object.keys(fields).join(", ")}`
}

const entryOf = (row: Row): KeyEntry => {
  const { concurrent, id, models, priority, requestsPerMinute, sha256, tenant, tokensPerMinute } = row as {
    readonly id: string
    readonly sha256: string
    readonly tenant?: string
    readonly models?: ReadonlyArray<string>
    readonly priority?: Grant["priority"]
    readonly requestsPerMinute?: number
    readonly tokensPerMinute?: number
    readonly concurrent?: number
  }
  return {
    sha256: sha256.toLowerCase(),
    grant: {
      id,
      tenant: tenant ?? id,
      models: models === undefined ? undefined : new Set(models.map(ModelName.canonical)),
      // A key without limits of its own gets those of the rate limit guard.
      limits: requestsPerMinute ?? tokensPerMinute ?? concurrent
        ? { requestsPerMinute, tokensPerMinute, concurrent }
        : undefined,
      priority,
    },
  }
}

/** The first value of a field that two rows share, whatever its case. */
const repeated = (rows: ReadonlyArray<Row>, field: string): string | undefined => {
  const seen = new Map<string, number>()
  for (const [at, row] of rows.entries()) {
    const value = String(row[field]).toLowerCase()
    const before = seen.get(value)
    if (before !== undefined) return `keys[${at}].${field} is the same as that of keys[${before}]`
    seen.set(value, at)
  }
  return undefined
}

/** All entries, or what is wrong with the first wrong one. @category decoding @since 0.1.0 */
export const read = (text: string): ReadonlyArray<KeyEntry> | string => {
  const file = Option.getOrUndefined(Schema.decodeUnknownOption(File)(text))
  if (file === undefined) return `it must be JSON: {"keys": [{"id": …, "sha256": …}, …]}`
  for (const [at, row] of file.keys.entries()) {
    const wrong = fault(row, at)
    if (wrong !== undefined) return wrong
  }
  return repeated(file.keys, "id") ?? repeated(file.keys, "sha256") ?? file.keys.map(entryOf)
}
