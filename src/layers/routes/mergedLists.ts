/**
 * Merges Ollama's lists without reformatting them. A row stays the bytes that a backend sent, which keeps field order,
 * number format and fields that a later version of Ollama adds.
 *
 * @since 0.1.0
 */
import { Option, Schema } from "effect"
import { skipSpace, text as textIn } from "../../wire/json.ts"
import { fieldsOf, itemsOf } from "../../wire/jsonParts.ts"

/**
 * One element of a list: its own text, and the fields that merging looks at.
 *
 * @category models
 * @since 0.1.0
 */
export interface Row {
  readonly text: string
  readonly fields: Readonly<Record<string, unknown>>
}

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown)))

/**
 * The rows under a top-level key that holds a list of objects (`models`, `data`). No rows where the list is `null`;
 * `undefined` where the body is not such an answer.
 *
 * @category decoding
 * @since 0.1.0
 */
export const read = (body: Uint8Array, key: string): ReadonlyArray<Row> | undefined => {
  const whole = Option.getOrUndefined(decode(textIn(body, 0, body.length)))
  if (whole === undefined) return undefined
  if (whole[key] === null) return []
  const values = whole[key]
  if (!Array.isArray(values)) return undefined
  const list = fieldsOf(body, skipSpace(body, 0))?.findLast((field) =>
    textIn(body, field.key.start + 1, field.key.end - 1) === key
  )
  const items = list === undefined ? undefined : itemsOf(body, list.start)
  if (items?.length !== values.length) return undefined
  return items.map(({ end, start }, index) => ({
    text: textIn(body, start, end),
    fields: typeof values[index] === "object" && values[index] !== null ? values[index] : {},
  }))
}

/**
 * The union of several lists, added one after the other. Of rows with the same key, the row with the highest rank is
 * kept. Rows are sorted by rank, highest first, as Ollama sorts its own lists. The list of a single backend keeps that
 * backend's order.
 *
 * @category models
 * @since 0.1.0
 */
export class Union {
  private readonly key: (row: Row) => string
  private readonly rank: (row: Row) => number
  private readonly best = new Map<string, { readonly row: Row; readonly rank: number }>()
  private only: ReadonlyArray<Row> | undefined = undefined
  /** Lists that were added. */
  lists = 0
  constructor(key: (row: Row) => string, rank: (row: Row) => number) {
    this.key = key
    this.rank = rank
  }
  add(rows: ReadonlyArray<Row>): void {
    this.only = this.lists++ === 0 ? rows : undefined
    for (const row of rows) {
      const name = this.key(row)
      const rank = this.rank(row)
      const held = this.best.get(name)
      if (held === undefined || rank > held.rank) this.best.set(name, { row, rank })
    }
  }
  get rows(): ReadonlyArray<Row> {
    return this.only ?? Array.from(this.best.values()).sort((a, b) => b.rank - a.rank).map(({ row }) => row)
  }
}

/** A text field; empty where it is missing or something else. @category accessors @since 0.1.0 */
export const text = (row: Row, field: string): string => {
  const value = row.fields[field]
  return typeof value === "string" ? value : ""
}

/** A date field, in milliseconds since 1970; 0 where it is missing or not a date. @category accessors @since 0.1.0 */
export const millis = (row: Row, field: string): number => Date.parse(text(row, field)) || 0
