/**
 * Generated fleets, demands, requests and faults, for properties of plugins, layers and whole routers. Each is an
 * `Arbitrary`: the same seed gives the same values, and an input that fails is made smaller.
 *
 * @since 0.1.0
 */
import { Arbitrary, Schema } from "effect"
import { backend } from "../services/Fleet.ts"
import type { FleetView } from "../services/FleetView.ts"
import type { Model } from "../services/ModelCatalog.ts"
import type { Candidate, Victim } from "../services/Plugin.ts"
import type { Demand, RoutedRequest } from "../services/RoutedRequest.ts"
import * as SimulatedFleet from "../simulated/SimulatedFleet.ts"
import { demandFor, modelOn } from "./demands.ts"
import { request } from "./requests.ts"
import { fleetOf, viewOf } from "./views.ts"

const ids = ["a", "b", "c", "d"]
const upTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
const one = <const A>(...values: ReadonlyArray<A>) =>
  Arbitrary.map(Arbitrary.schema(upTo(values.length - 1)), (i) => values[i]!)
const from = <S extends Schema.Schema<unknown>>(schema: S): Arbitrary.Arbitrary<S["Type"]> => Arbitrary.schema(schema)

const View = Schema.Struct({
  member: Schema.Literals(["active", "draining", "isolated"]),
  health: Schema.Literals(["healthy", "unhealthy", "unknown"]),
  residency: Schema.Literals(["resident", "loading", "draining", "absent"]),
  breaker: Schema.Literals(["closed", "half-open", "open", "isolated"]),
  streams: upTo(8),
  parallelism: Schema.Literals([1, 2, 4]),
  weight: Schema.Literals([0.5, 1, 4]),
  firstByteMillis: Schema.Union([upTo(5000), Schema.Undefined]),
  lastLeaseAt: upTo(1000),
  owns: Schema.Boolean,
  /** GiB that a load needs, that are free, and that the device has. */
  memory: Schema.Union([Schema.Tuple([upTo(40), upTo(24), Schema.Literals([24, 80])]), Schema.Undefined]),
})

/** A fleet of one to four backends, `a` to `d`, in any state, and a model that some of them own. */
export interface Scene {
  readonly fleet: FleetView
  readonly model: Model
}

const GiB = 1024 ** 3

/** Scenes for filters, scorers and pickers. @category generators @since 0.1.0 */
export const scenes: Arbitrary.Arbitrary<Scene> = Arbitrary.map(
  Arbitrary.array(from(View), { minLength: 1, maxLength: ids.length }),
  (states) => ({
    model: modelOn("m:latest", ...ids.filter((_, i) => states[i]?.owns === true)),
    fleet: fleetOf(states.map(({ breaker, memory, parallelism, residency, weight, owns: _, ...rest }, i) => {
      const id = ids[i]!
      return viewOf(id, {
        ...rest,
        backend: backend({ url: `http://${id}:11434`, id, parallelism, weight }),
        streamsOf: () => rest.streams,
        limitOf: () => parallelism,
        residency: () => residency,
        breaker: () => breaker,
        memory: () =>
          memory === undefined ? undefined : { needs: memory[0] * GiB, room: memory[1] * GiB, limit: memory[2] * GiB },
      })
    })),
  }),
)

/** Demands of three tenants for `model`, arrived at 0. @category generators @since 0.1.0 */
export const demands = (model: Model): Arbitrary.Arbitrary<Demand> =>
  Arbitrary.map(
    from(Schema.Struct({
      id: upTo(1_000_000),
      kind: Schema.Literals(["chat", "generate", "embed"]),
      promptTokens: upTo(10_000),
      bytes: upTo(100_000),
      tenant: Schema.Literals(["t0", "t1", "t2"]),
      priority: Schema.Literals(["interactive", "default", "batch"]),
      session: Schema.Union([upTo(1000), Schema.Undefined]),
      excluded: Schema.Array(Schema.Literals(["a", "b", "c", "d"])),
    })),
    ({ id, ...rest }) => demandFor(model, { ...rest, id: `r${id}` }),
  )

/** A scene, and a demand for its model. @category generators @since 0.1.0 */
export const situations: Arbitrary.Arbitrary<Scene & { readonly demand: Demand }> = Arbitrary.flatMap(
  scenes,
  (scene) => Arbitrary.map(demands(scene.model), (demand) => ({ ...scene, demand })),
)

/** One or more candidates for pickers. Many of their scores are equal. @category generators @since 0.1.0 */
export const candidates: Arbitrary.Arbitrary<ReadonlyArray<Candidate>> = Arbitrary.map(
  Arbitrary.array(from(Schema.Struct({ score: Schema.Literals([0, 0.5, 1, 3]), lastLeaseAt: upTo(5) })), {
    minLength: 1,
    maxLength: 8,
  }),
  (states) => states.map(({ lastLeaseAt, score }, i) => ({ score, view: viewOf(`b${i}`, { lastLeaseAt }) })),
)

/**
 * Up to twelve models that may be unloaded, for victim pickers. Times are in milliseconds, up to a minute.
 *
 * @category generators
 * @since 0.1.0
 */
export const victims: Arbitrary.Arbitrary<ReadonlyArray<Victim>> = Arbitrary.map(
  Arbitrary.array(
    from(Schema.Struct({
      bytes: Schema.Literals([0, 1, 2, 5, 12]),
      loadMillis: upTo(20_000),
      lastUsedAt: upTo(60_000),
      loadedAt: upTo(60_000),
      rate: Schema.Literals([0, 0.0001, 0.01]),
      keepAliveMillis: Schema.Union([Schema.Literals([0, 300_000]), Schema.Undefined]),
    })),
    { maxLength: 12 },
  ),
  (states) =>
    states.map(({ bytes, ...rest }, i) => ({
      ...rest,
      bytes: bytes * GiB,
      backend: "a",
      model: `m${i}:latest`,
      blob: undefined,
    })),
)

/**
 * Requests of every dialect to models of these names, streamed and in one piece.
 *
 * @category generators
 * @since 0.1.0
 */
export const requests = (models: ReadonlyArray<string>): Arbitrary.Arbitrary<RoutedRequest> =>
  Arbitrary.map(
    Arbitrary.all({
      path: one("/api/chat", "/api/generate", "/api/embed", "/v1/chat/completions", "/v1/messages"),
      model: one(...models),
      stream: from(Schema.Boolean),
      words: from(upTo(50)),
      temperature: one(undefined, 0, 1),
      tokens: from(upTo(20)),
    }),
    ({ model, path, stream, temperature, tokens, words }) => {
      const text = "word ".repeat(words + 1)
      const prompt = path === "/api/embed"
        ? { input: text }
        : path === "/api/generate"
        ? { prompt: text }
        : { messages: [{ role: "user", content: text }] }
      const options = path.startsWith("/v1/")
        ? { max_tokens: tokens + 1, temperature }
        : { options: { num_predict: tokens + 1, temperature } }
      return request(path, { model, stream, ...prompt, ...options })
    },
  )

/**
 * One to four simulated servers by URL, `http://a:11434` to `http://d:11434`, with and without GPUs, fast and slow.
 *
 * @category generators
 * @since 0.1.0
 */
export const fleets: Arbitrary.Arbitrary<Readonly<Record<string, SimulatedFleet.ServerOptions>>> = Arbitrary.map(
  Arbitrary.array(
    Arbitrary.all({
      gpus: one<ReadonlyArray<"24 GiB" | "80 GiB">>([], ["24 GiB"], ["24 GiB", "24 GiB"], ["80 GiB"]),
      decodeRate: one(20, 100, Infinity),
      overhead: one("0 millis", "5 millis", "1 second"),
      loadTime: one("0 millis", "2 seconds"),
      parallelism: one(1, 2, 4),
    }),
    { minLength: 1, maxLength: ids.length },
  ),
  (servers) => Object.fromEntries(servers.map((server, i) => [`http://${ids[i]}:11434`, server])),
)

/**
 * A fault of one backend, or its end. `server` is an index into the fleet.
 *
 * @category models
 * @since 0.1.0
 */
export type RandomFault =
  | {
    readonly do: "fault"
    readonly server: number
    readonly fault: SimulatedFleet.Fault.Fault
    readonly path: string
    readonly times: number
  }
  | { readonly do: "down" | "up" | "clear"; readonly server: number }

const { Fault } = SimulatedFleet

/**
 * Faults of each kind that a simulated backend has, for the next calls of a path.
 *
 * @category generators
 * @since 0.1.0
 */
export const randomFaults: Arbitrary.Arbitrary<RandomFault> = Arbitrary.map(
  Arbitrary.all({
    // Faults of calls are more frequent than servers that stop and start.
    what: one("fault", "fault", "fault", "down", "up", "up", "clear"),
    server: from(upTo(ids.length - 1)),
    path: one("*", "/api/*", "/api/chat", "/v1/*", "/api/ps"),
    times: one(1, 3),
    fault: one(
      Fault.refuse,
      Fault.hang,
      Fault.garbage,
      Fault.internal,
      Fault.busy,
      Fault.tooMany,
      Fault.reset(),
      Fault.reset(2),
      Fault.stall(2),
      Fault.crash(2),
      Fault.truncate(2),
      Fault.answer({ status: 502, body: "bad gateway" }),
      Fault.slow("2 seconds"),
    ),
  }),
  ({ fault, path, server, times, what }): RandomFault =>
    what === "fault" ? { do: what, server, fault, path, times } : { do: what, server },
)

/**
 * Applies a fault to a simulated fleet. An index beyond the fleet is taken modulo its size.
 *
 * @category running
 * @since 0.1.0
 */
export const applyFault = (fleet: SimulatedFleet.SimulatedFleet["Service"], what: RandomFault): void => {
  const servers = Array.from(fleet.servers.values())
  const server = servers[what.server % servers.length]
  if (server === undefined) return
  if (what.do === "fault") server.faults.set(what.fault, { path: what.path, times: what.times })
  else if (what.do === "clear") server.faults.clear()
  else if (what.do === "down") server.down()
  else server.up()
}
