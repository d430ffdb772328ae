/** The router alone, without sockets, as a program that is measured: it sends requests when its parent tells it to. */
import process from "node:process"
import * as RouterMetrics from "../../src/layers/events/RouterMetrics.ts"
import * as Standard from "../../src/layers/Standard.ts"
import * as ContextGuard from "../../src/plugins/guards/ContextGuard.ts"
import { Layer } from "effect"
import { type Load, open } from "../features/router.ts"
import { asks } from "../wire.ts"

/** What the parent tells it. */
export interface Send {
  readonly send: "json" | "stream"
  readonly count: number
}

const opened = open(
  RouterMetrics.layer.pipe(Layer.provideMerge(Standard.layer({ guards: [ContextGuard.make()] }))),
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
