/**
 * How a value is written in a file: as a number, a boolean, a list or an object. Each has its JSON Schema, for editors.
 *
 * @since 0.1.0
 */
import { Result } from "effect"
import * as Parse from "./parse.ts"

/** A schema of JSON Schema 2020-12. @category models @since 0.1.0 */
export type JsonSchema = Readonly<Record<string, unknown>>

/** A way into a value: names of fields and indices of elements. @category models @since 0.1.0 */
export type Path = ReadonlyArray<string | number>

/** A part of a value that is wrong. @category models @since 0.1.0 */
export interface WrongPart {
  readonly path: Path
  readonly value: unknown
  /** How the part must look, in words. */
  readonly wanted: string
}

/** The form of a value in a file. @category models @since 0.1.0 */
export interface Natural<A> {
  readonly schema: JsonSchema
  /** The value, or all parts of it that are wrong. */
  readonly read: (value: unknown) => Result.Result<A, ReadonlyArray<WrongPart>>
}

/** `read` gives `undefined` for a value that is wrong. @internal */
export const make = <A>(
  wanted: string,
  schema: JsonSchema,
  read: (value: unknown) => A | undefined,
): Natural<A> => ({
  schema,
  read: (value) => {
    const found = read(value)
    return found === undefined ? Result.fail([{ path: [], value, wanted }]) : Result.succeed(found)
  },
})

/** @internal */
export const whole = (wanted: string, minimum: number, maximum?: number): Natural<number> =>
  make(
    wanted,
    { type: "integer", minimum, ...(maximum === undefined ? {} : { maximum }) },
    (value) =>
      typeof value === "number" && Number.isSafeInteger(value) && value >= minimum && value <= (maximum ?? Infinity)
        ? value
        : undefined,
  )

/** A number of at least 0. @internal */
export const decimal = (wanted: string, maximum?: number): Natural<number> =>
  make(
    wanted,
    { type: "number", minimum: 0, ...(maximum === undefined ? {} : { maximum }) },
    (value) => typeof value === "number" && value >= 0 && value <= (maximum ?? Number.MAX_VALUE) ? value : undefined,
  )

/** A number above 0. @internal */
export const positive = (wanted: string): Natural<number> =>
  make(
    wanted,
    { type: "number", exclusiveMinimum: 0 },
    (value) => typeof value === "number" && value > 0 && value < Infinity ? value : undefined,
  )

/** `true` or `false`. YAML 1.2 takes a bare `on` for a text, so that the words count, too. @internal */
export const onOff: Natural<boolean> = make(
  "true or false",
  { enum: [true, false, "on", "off"] },
  (value) => typeof value === "boolean" ? value : typeof value === "string" ? Parse.onOff(value) : undefined,
)

/** A text that `parse` can read. @internal */
export const text = <A>(
  wanted: string,
  parse: (text: string) => A | undefined,
  schema: JsonSchema = {},
): Natural<A> =>
  make(wanted, { type: "string", ...schema }, (value) => typeof value === "string" ? parse(value) : undefined)

/** One of a few words. @internal */
export const words = <A>(
  wanted: string,
  parse: (text: string) => A | undefined,
  words: ReadonlyArray<string>,
): Natural<A> => ({ ...text(wanted, parse), schema: { enum: words } })

/** A number, or a text such as `64MiB`. @internal */
export const size = (wanted: string): Natural<number> =>
  make(
    wanted,
    { anyOf: [{ type: "integer", minimum: 0 }, { type: "string", pattern: "^\\d+(\\.\\d+)?\\s*[A-Za-z]*$" }] },
    (value) => {
      if (typeof value === "string") return Parse.bytes(value)
      return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined
    },
  )

/** What is wrong with a part, seen from the whole. */
const within = (step: string | number, parts: ReadonlyArray<WrongPart>): ReadonlyArray<WrongPart> =>
  parts.map((part) => ({ ...part, path: [step, ...part.path] }))

/** @internal */
export const list = <A>(wanted: string, item: Natural<A>): Natural<ReadonlyArray<A>> => ({
  schema: { type: "array", items: item.schema },
  read: (value) => {
    if (!Array.isArray(value)) return Result.fail([{ path: [], value, wanted: `a list: ${wanted}` }])
    const read = value.map((one) => item.read(one))
    const wrong = read.flatMap((one, i) => Result.isFailure(one) ? within(i, one.failure) : [])
    return wrong.length > 0
      ? Result.fail(wrong)
      : Result.succeed(read.flatMap((one) => Result.isSuccess(one) ? [one.success] : []))
  },
})

/** Whether a value is an object of JSON. */
const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Names with values. `names` are those that it may have; without them it may have any. @internal */
export const record = <A>(
  wanted: string,
  item: Natural<A>,
  names?: ReadonlyArray<string>,
): Natural<Readonly<Record<string, A>>> => ({
  schema: names === undefined ? { type: "object", additionalProperties: item.schema } : {
    type: "object",
    properties: Object.fromEntries(names.map((name) => [name, item.schema])),
    additionalProperties: false,
  },
  read: (value) => {
    if (!isObject(value)) return Result.fail([{ path: [], value, wanted: `an object: ${wanted}` }])
    const read = Object.entries(value).map(([name, one]) => {
      if (names === undefined || names.includes(name)) return [name, item.read(one)] as const
      const wrong: ReadonlyArray<WrongPart> = [{ path: [], value: one, wanted: `one of the names ${names.join(", ")}` }]
      return [name, Result.fail(wrong)] as const
    })
    const wrong = read.flatMap(([name, one]) => Result.isFailure(one) ? within(name, one.failure) : [])
    return wrong.length > 0 ? Result.fail(wrong) : Result.succeed(
      Object.fromEntries(read.flatMap(([name, one]) => Result.isSuccess(one) ? [[name, one.success]] : [])),
    )
  },
})

/** The same form, for a value made from it. `undefined` where the parts are right and the whole is not. @internal */
export const map = <A, B>(natural: Natural<A>, wanted: string, f: (value: A) => B | undefined): Natural<B> => ({
  schema: natural.schema,
  read: (value) =>
    Result.flatMap(natural.read(value), (read) => {
      const found = f(read)
      return found === undefined ? Result.fail([{ path: [], value, wanted }]) : Result.succeed(found)
    }),
})
