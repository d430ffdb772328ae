/**
 * JSON into Go structs, with Go's error texts about types, and 32-bit floats as Go writes them. No library gives Go's
 * texts.
 *
 * @since 0.1.0
 */
import { Result } from "effect"
import { parse } from "./parse.ts"

/** Go's names for the kinds of JSON values. */
const kindOf = (value: unknown): string =>
  typeof value === "boolean"
    ? "bool"
    : Array.isArray(value)
    ? "array"
    : value === null
    ? "null"
    : typeof value === "object"
    ? "object"
    : typeof value

/**
 * The Go type of a field; `any` accepts every value.
 *
 * @category models
 * @since 0.1.0
 */
export type GoType =
  | "string"
  | "bool"
  | "*bool"
  | "int"
  | "[]int"
  | "[]string"
  | "map[string]interface {}"
  | "object"
  | "list"
  | "any"

/**
 * A Go struct: its name, which is part of error texts, and its fields.
 *
 * @category models
 * @since 0.1.0
 */
export interface GoStruct {
  readonly name: string
  readonly fields: Readonly<Record<string, GoType>>
}

const fits = (type: GoType, value: unknown): boolean => {
  switch (type) {
    case "any":
      return true
    case "string":
      return typeof value === "string"
    case "bool":
    case "*bool":
      return typeof value === "boolean"
    case "int":
      return Number.isInteger(value)
    case "[]int":
      return Array.isArray(value) && value.every((item) => Number.isInteger(item))
    case "[]string":
      return Array.isArray(value) && value.every((item) => typeof item === "string")
    case "list":
      return Array.isArray(value)
    default:
      return typeof value === "object" && !Array.isArray(value)
  }
}

const goName = (type: GoType, struct: string, field: string): string =>
  type === "*bool" ? "bool" : type === "list" ? `[]${struct}.${field}` : type === "object" ? `${struct}.${field}` : type

/** Go takes the long s and the Kelvin sign for letters, too. */
const fold = (key: string): string => key.toLowerCase().replaceAll("\u017f", "s").replaceAll("\u212a", "k")

/**
 * Reads a struct from a JSON object. The case of keys does not matter, unknown keys are dropped, and `null` counts as
 * absent.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (struct: GoStruct, text: string): Result.Result<Record<string, unknown>, string> =>
  Result.flatMap(parse(text), (value): Result.Result<Record<string, unknown>, string> => {
    if (value === null) return Result.succeed({})
    if (typeof value !== "object" || Array.isArray(value)) {
      return Result.fail(`json: cannot unmarshal ${kindOf(value)} into Go value of type api.${struct.name}`)
    }
    const made: Record<string, unknown> = {}
    for (const [key, item] of Object.entries(value)) {
      const field = Object.hasOwn(struct.fields, key) ? key : fold(key)
      const type = Object.hasOwn(struct.fields, field) ? struct.fields[field] : undefined
      if (type === undefined || item === null) continue
      if (!fits(type, item)) {
        const inner = Array.isArray(item) && type.startsWith("[]")
        const bad = inner ? item.find((one) => !fits(type.slice(2) as GoType, one)) : item
        const kind = typeof bad === "number" && type.endsWith("int") ? `number ${bad}` : kindOf(bad)
        const wanted = goName(inner ? type.slice(2) as GoType : type, struct.name, field)
        return Result.fail(
          `json: cannot unmarshal ${kind} into Go struct field ${struct.name}.${field} of type ${wanted}`,
        )
      }
      made[field] = item
    }
    return Result.succeed(made)
  })

/**
 * A 32-bit float as Go writes it: the fewest digits that give the same float when read back.
 *
 * @category encoding
 * @since 0.1.0
 */
export const float32 = (value: number): string => {
  for (let digits = 6; digits < 9; digits++) {
    const text = value.toPrecision(digits)
    if (Math.fround(Number(text)) === value) return String(Number(text))
  }
  return String(Number(value.toPrecision(9)))
}
