/** Shared by the tests of `wire` and `server`: seeded randomness, a router of the test's own, a recording upstream. */
import { Effect, Layer } from "effect"
import type { ReplySink } from "../../src/services/Reply.ts"
import type { Endpoint, RoutedRequest } from "../../src/services/RoutedRequest.ts"
import { Router, type Settled } from "../../src/services/Router.ts"
import type { Upstream } from "../../src/services/Transport.ts"
import { find } from "../../src/wire/endpoints.ts"

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
export const text = (chunks: Uint8Array | ReadonlyArray<Uint8Array>): string =>
  new TextDecoder().decode(chunks instanceof Uint8Array ? chunks : Buffer.concat(chunks))

export const endpoint = (path: string): Endpoint => {
  const found = find(path)
  if (found === undefined) throw new RangeError(path)
  return found
}

/** A small generator of numbers in [0, 1), the same for the same seed. */
export const random = (seed: number) => {
  let state = seed | 0
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    next,
    below: (limit: number) => Math.floor(next() * limit),
    pick: <A>(from: ReadonlyArray<A>): A => from[Math.floor(next() * from.length)]!,
  }
}
export type Random = ReturnType<typeof random>

/** Cuts bytes at random places. */
export const cut = (whole: Uint8Array, rng: Random): Array<Uint8Array> => {
  const parts: Array<Uint8Array> = []
  for (let at = 0; at < whole.length;) {
    const length = 1 + rng.below(Math.max(1, Math.min(whole.length - at, 1 + rng.below(64))))
    parts.push(whole.slice(at, at + length))
    at += length
  }
  return parts
}

export const answered: Settled = {
  result: "answered",
  status: 200,
  refusal: undefined,
  outcome: undefined,
  backend: undefined,
  attempts: 1,
  queuedMillis: 0,
}

/** A router with the test's own `route`. */
export const router = (route: (request: RoutedRequest, reply: ReplySink) => Effect.Effect<Settled>) => {
  const seen = { requests: [] as Array<RoutedRequest>, active: 0, interrupted: 0 }
  let draining = false
  const layer = Layer.succeed(
    Router,
    Router.of({
      active: () => seen.active,
      draining: () => draining,
      drain: Effect.sync(() => {
        draining = true
      }),
      route: (request, reply) =>
        Effect.suspend(() => {
          seen.requests.push(request)
          seen.active++
          return route(request, reply)
        }).pipe(
          Effect.onInterrupt(() =>
            Effect.sync(() => {
              seen.interrupted++
            })
          ),
          Effect.ensuring(Effect.sync(() => {
            seen.active--
          })),
        ),
    }),
  )
  return { layer, seen }
}

/** An upstream that records its calls. */
export class Told implements Upstream {
  readonly calls: Array<"pause" | "resume" | "abort"> = []
  pause() {
    this.calls.push("pause")
  }
  resume() {
    this.calls.push("resume")
  }
  abort() {
    this.calls.push("abort")
  }
}
