/** Whole or not at all: after any sequence of right and wrong configurations, the last right one is in use. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import * as fc from "fast-check"
import * as Settings from "../../../src/layers/Settings.ts"
import { runs } from "../../support/runs.ts"
import { type Env, fleetOf, keysOf, now, started, type World } from "./world.ts"

/** A part of a configuration, and the name in the error when it is wrong. */
interface Part {
  readonly env: Env
  readonly wrong?: string
}
const right = (name: string, ...values: ReadonlyArray<string>): ReadonlyArray<Part> =>
  values.map((value) => ({ env: { [name]: value } }))
const wrong = (name: string, ...values: ReadonlyArray<string>): ReadonlyArray<Part> =>
  values.map((value) => ({ env: { [name]: value }, wrong: name }))
/** Two thirds of the picks are right. */
const of = (good: ReadonlyArray<Part>, bad: ReadonlyArray<Part>) =>
  fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom<Part>({ env: {} }, ...good) },
    { weight: 1, arbitrary: fc.constantFrom(...bad) },
  )

const parts = fc.tuple(
  of(right("LLAMERO_ALIASES", "gpt=a", "gpt=b|c,x=y"), wrong("LLAMERO_ALIASES", "gpt", "gpt=")),
  of(right("LLAMERO_QUEUE_CAPACITY", "0", "5"), wrong("LLAMERO_QUEUE_CAPACITY", "-1", "many")),
  of(right("LLAMERO_SCORERS", "resident=1", "peak-ewma=2,session-affinity=1"), wrong("LLAMERO_SCORERS", "resid=1")),
  of(right("LLAMERO_PICKER", "two-choices"), wrong("LLAMERO_PICKER", "any")),
  of(right("LLAMERO_RATE_LIMIT", "requests=5", "concurrent=2"), wrong("LLAMERO_RATE_LIMIT", "requests=0")),
  of(right("LLAMERO_LOG_LEVEL", "Debug", "Warn"), wrong("LLAMERO_LOG_LEVEL", "Loud")),
  of(right("LLAMERO_DECISIONS", "5", "50"), wrong("LLAMERO_DECISIONS", "-5")),
  of(right("LLAMERO_PARALLELISM", "2", "4"), wrong("LLAMERO_PARALLELISM", "0")),
  of(right("LLAMERO_PINNED", "a", "a,b"), wrong("LLAMERO_PINNED", "a b")),
  // These can be read, and only a restart can change them.
  of([], [...wrong("LLAMERO_PORT", "4711"), ...wrong("LLAMERO_BODY_LIMIT", "1MiB")]),
  of([], wrong("LLAMERO_TOKEN", "x")),
)

const fleets = fc.oneof(
  { weight: 4, arbitrary: fc.subarray(["a", "b", "c"], { minLength: 1 }).map((ids) => ({ ids, isRight: true })) },
  { weight: 1, arbitrary: fc.constantFrom({ ids: [], isRight: false }, { ids: ["a", "a"], isRight: false }) },
).map(({ ids, isRight }) => ({ text: fleetOf(...ids.map((id) => ({ id, url: `http://${id}:1` }))), ids, isRight }))

const keys = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.subarray(["a", "b", "c"]).map((digits) => ({ text: keysOf(...digits), digits, isRight: true })),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<string | undefined>(undefined, "{", keysOf("z"), keysOf("a", "a"))
      .map((text) => ({ text, digits: [] as Array<string>, isRight: false })),
  },
)

const configurations = fc.record({ parts, fleet: fleets, keys })
type Configuration = typeof configurations extends fc.Arbitrary<infer A> ? A : never

const base: Env = { LLAMERO_FLEET_FILE: "/fleet.json", LLAMERO_KEYS_FILE: "/keys.json", LLAMERO_ADMIN_TOKEN: "t" }
const envOf = ({ parts }: Configuration): Env => Object.assign({}, base, ...parts.map(({ env }) => env))
/** The names that the error must have: that of a setting that cannot be read hides the others. */
const wrongIn = ({ fleet, keys, parts }: Configuration): ReadonlyArray<string> => {
  const unread = parts.flatMap(({ wrong }) => wrong ?? [])
  const isRestart = (name: string) => name === "LLAMERO_PORT" || name === "LLAMERO_BODY_LIMIT"
  if (unread.some((name) => !isRestart(name))) return unread.filter((name) => !isRestart(name))
  return [
    ...unread,
    ...(fleet.isRight ? [] : ["LLAMERO_FLEET_FILE"]),
    ...(keys.isRight ? [] : ["LLAMERO_KEYS_FILE"]),
  ]
}

const quiet = Logger.layer([])

/** What must be in use after a right configuration, from the settings alone. */
const expected = (settings: Settings.Settings, { fleet, keys }: Configuration) => ({
  settings,
  scorers: settings.scorers.map(([name, weight]) => [name, weight] as const),
  picker: settings.picker,
  fleet: fleet.ids.map((id) => [id, `http://${id}:1`, settings.parallelism, settings.streamsPerBackend]),
  keys: keys.digits,
  level: settings.logLevel,
  decisions: settings.decisions > 0,
  guardsOff: [["session", !settings.scorers.some(([name]) => name === "session-affinity")]],
})

const play = (sequence: ReadonlyArray<Configuration>) =>
  Effect.gen(function* () {
    const world: World = {
      env: base,
      files: { "/fleet.json": fleetOf("http://first:1"), "/keys.json": keysOf("a") },
    }
    const server = yield* started(world)
    let last = now(server)
    for (const configuration of sequence) {
      const { fleet, keys } = configuration
      world.env = envOf(configuration)
      world.files = { "/fleet.json": fleet.text, ...(keys.text === undefined ? {} : { "/keys.json": keys.text }) }
      const flaws = wrongIn(configuration)
      const result = yield* Effect.result(server.reloading.reload())
      assert.strictEqual(result._tag, flaws.length === 0 ? "Success" : "Failure")
      if (result._tag === "Success") last = expected(yield* Settings.fromEnv(world.env), configuration)
      else for (const name of flaws) assert.include(result.failure.message, name)
      assert.deepStrictEqual(now(server), last)
      assert.strictEqual(server.reloading.isRefused(), flaws.length > 0)
    }
  }).pipe(Effect.scoped, Effect.provide(Layer.merge(quiet, Layer.empty)))

describe("a reload is whole or nothing", () => {
  it(
    "after each of any right and wrong configurations, the last right one is in use, and the error names each fault",
    () =>
      fc.assert(
        fc.asyncProperty(
          fc.array(configurations, { minLength: 1, maxLength: 12 }),
          (sequence) => Effect.runPromise(play(sequence)),
        ),
        { numRuns: runs(60, 2000), seed: 13 },
      ),
    120_000,
  )
})
