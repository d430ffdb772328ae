import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { backend } from "../../../src/services/Fleet.ts"
import { Leases } from "../../../src/services/Leases.ts"
import { ModelCatalog } from "../../../src/services/ModelCatalog.ts"
import { Transport } from "../../../src/services/Transport.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import { elapse } from "../../../src/testing/elapse.ts"
import { ask, over, url } from "../../support/routers.ts"

const model = SimulatedFleet.Model.llama31.name

/**
 * The speed of an 8B model on an H100 under Ollama 0.33: 335 answers of 32 tokens a minute one after the other, 620
 * with 8 slots. The GPU is busy with other work too, so each request is delayed in its slot, in none of the durations.
 */
const busy = (parallelism: number, seed: number): SimulatedFleet.ServerOptions => ({
  contextLength: 8192,
  models: [SimulatedFleet.Model.llama31],
  gpus: ["80 GiB"],
  prefillRate: 4000,
  decodeRate: 178,
  decodeRateMax: 376,
  slotDelay: ["50 millis", "150 millis"],
  parallelism,
  seed,
})

interface Seen {
  /** When each answer ended, and the limit then. */
  readonly answers: Array<{ readonly at: number; readonly limit: number }>
}

type Path = "/api/chat" | "/v1/chat/completions"

const body = (path: Path, tokens: number) => ({
  model,
  messages: [{ role: "user", content: "hello" }],
  stream: true,
  ...(path === "/api/chat" ? { options: { num_predict: tokens } } : { max_tokens: tokens }),
})

/**
 * Clients that each send the next chat at once, or a second after one that failed, until there were so many answers.
 */
const load = (
  slots: number,
  count: number,
  one: (body: object) => Effect.Effect<boolean>,
  seen: Seen,
  limit: () => number,
  path: Path,
) =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const client = (n: number) =>
      Effect.gen(function* () {
        for (let i = 0;; i++) {
          if (!(yield* one(body(path, 20 + (7 * n + 11 * i) % 25)))) yield* Effect.sleep("1 second")
          else seen.answers.push({ at: clock.currentTimeMillisUnsafe(), limit: limit() })
        }
      })
    for (let n = 0; n < 2 * slots + 8; n++) yield* Effect.forkScoped(client(n))
    for (let s = 0; s < 600 && seen.answers.length < count; s++) yield* elapse("1 second", "100 millis")
  })

/** Answers in a second from the 200th on. */
const rate = ({ answers }: Seen, count: number) => 1000 * (count - 200) / (answers[count - 1]!.at - answers[199]!.at)

const count = 500

const ignore = () => {}
const bytes = (content: object) => new TextEncoder().encode(JSON.stringify(content))

/** The server without a router: as many chats at once as there are clients. */
const direct = (slots: number, seed: number, path: Path) =>
  Effect.gen(function* () {
    const seen: Seen = { answers: [] }
    const transport = yield* Transport
    const one = (content: object) =>
      Effect.callback<boolean>((resume) => {
        const ended = () => resume(Effect.succeed(true))
        const sink = { open: ignore, head: ignore, data: ignore, end: ended, fail: ended }
        transport.send(backend(url("a")), { method: "POST", path, headers: [], body: bytes(content) }, sink)
      })
    yield* load(slots, count, one, seen, () => 0, path)
    return rate(seen, count)
  }).pipe(Effect.provide(over({ a: busy(slots, seed) }), { local: true }), Effect.scoped)

interface Routed {
  readonly slots: number
  readonly seed: number
  readonly path: Path
  /** Called once, when this many answers have come. */
  readonly then?: readonly [number, (server: SimulatedFleet.SimulatedServer) => void]
  readonly count?: number
}

/** The same through the router, which begins with one stream. */
const routed = ({ count: most = count, path, seed, slots, then }: Routed) =>
  Effect.gen(function* () {
    const leases = yield* Leases
    const catalog = yield* ModelCatalog
    const { get } = yield* SimulatedFleet.SimulatedFleet
    const seen: Seen = { answers: [] }
    const limit = () => {
      const known = catalog.peek(model)
      return known === undefined ? 0 : leases.view.backends[0]!.limitOf(known)
    }
    const context = yield* Effect.context<Effect.Services<ReturnType<typeof ask>>>()
    const one = (content: object) =>
      Effect.map(Effect.provide(ask(path, content), context), ({ settled }) => settled.outcome?.kind === "success")
    if (then !== undefined) {
      yield* Effect.forkScoped(Effect.gen(function* () {
        while (seen.answers.length < then[0]) yield* Effect.sleep("10 millis")
        then[1](get(url("a")))
      }))
    }
    yield* load(slots, most, one, seen, limit, path)
    return seen
  }).pipe(Effect.provide(over({ a: busy(slots, seed) }, {}, { streamsMax: 32 }), { local: true }), Effect.scoped)

/** How many of these limits are more than one away from the truth. */
const off = (answers: Seen["answers"], slots: number) =>
  answers.filter(({ limit }) => Math.abs(limit - slots) > 1).length / answers.length

const slotsOf = { "/api/chat": [1, 2, 4, 8, 16], "/v1/chat/completions": [2, 8] } as const

describe("the slots of a server that does not tell them, on a busy GPU", () => {
  for (const path of ["/api/chat", "/v1/chat/completions"] as const) {
    for (const slots of slotsOf[path]) {
      it.effect(`finds ${slots} on ${path}, and has the throughput of the server driven directly`, () =>
        Effect.gen(function* () {
          const seed = 10 + slots
          const seen = yield* routed({ slots, seed, path })
          const alone = yield* direct(slots, seed, path)
          assert.isAtLeast(rate(seen, count), 0.95 * alone)
          assert.strictEqual(off(seen.answers.slice(200), slots), 0)
        }))
    }
  }

  for (const [before, after] of [[8, 2], [4, 1], [2, 6]] as const) {
    it.effect(`follows a server with ${before} slots that is started again with ${after}`, () =>
      Effect.gen(function* () {
        const restart = (server: SimulatedFleet.SimulatedServer) => {
          server.down()
          server.up(after)
        }
        const seen = yield* routed({ slots: before, seed: 3, path: "/api/chat", then: [250, restart], count: 650 })
        assert.strictEqual(off(seen.answers.slice(200, 250), before), 0)
        assert.strictEqual(off(seen.answers.slice(450), after), 0)
      }))
  }
})
