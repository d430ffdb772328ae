/**
 * The gauges of the process. Hosts that cannot tell have none.
 *
 * @since 0.1.0
 */
import { gauge, type Set } from "./gauge.ts"

const heapUsed = gauge("llamero_heap_used_bytes", "Memory of the process that JavaScript objects take")
const heapTotal = gauge("llamero_heap_total_bytes", "Memory of the process that is set aside for JavaScript objects")
const external = gauge("llamero_external_bytes", "Memory of the process that buffers take, outside the heap")
const resident = gauge("llamero_resident_memory_bytes", "Memory of the process as the operating system counts it")

interface Usage {
  readonly external: number
  readonly heapTotal: number
  readonly heapUsed: number
  readonly rss: number
}

/** Node and Deno have it; serverless hosts need not. */
const host: { readonly process?: { readonly memoryUsage?: () => Usage } | undefined } = globalThis

/** @internal */
export const read = (set: Set): void => {
  const usage = host.process?.memoryUsage?.()
  if (usage === undefined) return
  set(heapUsed, usage.heapUsed)
  set(heapTotal, usage.heapTotal)
  set(external, usage.external)
  set(resident, usage.rss)
}
