/** The router alone, without sockets, as a program that is measured: it sends requests when its parent tells it to. */
import { Clock, Effect, Layer } from "effect"
import process from "node:process"
import * as RingRouterEvents from "../../src/layers/events/RingRouterEvents.ts"
import * as RouterMetrics from "../../src/layers/events/RouterMetrics.ts"
import * as Standard from "../../src/layers/Standard.ts"
import * as ContextGuard from "../../src/plugins/guards/ContextGuard.ts"
import { type Load, open } from "../features/router.ts"
import { asks } from "../wire.ts"

/** What the parent tells it. */
export interface Send {
  readonly send: "json" | "stream"
  readonly count: number
}

/**
 * Every event is copied into the history. With its usual limit of 100 a second, a busy machine would copy more of them
 * for each request than an idle one. The history is full after the first requests, so it does not grow later.
 */
const events = RingRouterEvents.layer({ historyPerSecond: 1_000_000, capacity: 512 })

const callsAMillisecond = 50

/**
 * Its time follows from how often it is read. With the real time, a busy machine measures other durations, and V8
 * allocates an object for each that is no small whole number.
 */
const clock = Layer.effect(
  Clock.Clock,
  Effect.map(Clock.Clock, (real) => {
    const start = real.currentTimeMillisUnsafe()
    let calls = 0
    return Object.assign(Object.create(real) as Clock.Clock, {
      currentTimeMillisUnsafe: () => start + Math.floor(calls++ / callsAMillisecond),
    })
  }),
)

const opened = open(
  RouterMetrics.layer.pipe(
    Layer.provideMerge(Standard.layer({ guards: [ContextGuard.make()], events })),
    Layer.provide(clock),
  ),
  // One request at a time: else the events of several requests are counted together, or not, as it happens.
  1,
)
const loads: Readonly<Record<Send["send"], Load>> = {
  json: { path: "/api/chat", bodies: [asks.json] },
  stream: { path: "/api/chat", bodies: [asks.stream] },
}

// Listens at once: a message that comes while the router is opened must not be lost.
process.on("message", async ({ count = 1, id, send }: Partial<Send> & { readonly id: number }) => {
  if (send === undefined) return
  try {
    const router = await opened
    process.send?.({ id, value: await router.measure(loads[send], count) })
  } catch (error) {
    process.send?.({ id, failed: String(error) })
  }
})
