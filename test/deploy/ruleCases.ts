/** When each alert fires and when it does not, as series of a minute between two samples. */

export interface Case {
  readonly alert: string
  readonly says: string
  /** Selectors and values in promtool's notation: `1+2x10` is 1, 3, 5, ... */
  readonly series: Readonly<Record<string, string>>
  readonly at: string
  /** The labels of each alert that fires then, besides its name and severity. */
  readonly fires: ReadonlyArray<string>
}

const i = `instance="r"`
const gb = (value: number) => value * 1e9
const steady = (value: number | string, minutes = 60) => `${value}+0x${minutes}`
/** Of ten requests a minute, how many were routed within 10 ms. */
const routed = (fast: number) => ({
  [`llamero_routing_duration_seconds_bucket{${i}, route="/api/chat", le="0.01"}`]: `0+${fast}x400`,
  [`llamero_routing_duration_seconds_count{${i}, route="/api/chat"}`]: "0+10x400",
})
const sheds = (perMinute: number) => ({
  [`llamero_sheds_total{${i}, model="m", reason="QueueFull"}`]: `0+${perMinute}x60`,
  [`llamero_requests_total{${i}, model="m", status="2xx"}`]: "0+100x60",
})
const tokens = (values: string, streams: string) => ({
  [`llamero_tokens_total{${i}, model="m", type="out"}`]: values,
  [`llamero_streams{${i}, backend="a"}`]: streams,
})
const opens = (values: string) => ({
  [`llamero_breaker_transitions_total{${i}, backend="a", model="", to="open"}`]: values,
})
const model = (bytes: number, vram: number, spills?: string) => ({
  [`llamero_model_bytes{${i}, backend="a", model="m"}`]: steady(bytes),
  [`llamero_model_vram_bytes{${i}, backend="a", model="m"}`]: steady(vram),
  ...spills === undefined ? {} : { [`llamero_spills_total{${i}, backend="a", model="m"}`]: spills },
})
const device = (name: string, values: string, id = "g") => ({
  [`llamero_device_${name}{${i}, device="${id}"}`]: values,
})

const one = (
  alert: string,
  says: string,
  series: Case["series"],
  at: string,
  ...fires: ReadonlyArray<string>
): Case => ({
  ...{ alert, says, series, at, fires },
})

export const cases: ReadonlyArray<Case> = [
  one(
    "LlameroDown",
    "a router that does not answer",
    { [`up{${i}, job="llamero"}`]: steady(0) },
    "2m",
    `${i}, job="llamero"`,
  ),
  one("LlameroDown", "a missed scrape", { [`up{${i}, job="llamero"}`]: "1 0 1+0x10" }, "2m"),
  one("LlameroDown", "another program", { [`up{${i}, job="node"}`]: steady(0) }, "9m"),
  one("LlameroNotReady", "for three minutes", { [`llamero_ready{${i}}`]: "1 0+0x10" }, "4m", i),
  one("LlameroNotReady", "a restart", { [`llamero_ready{${i}}`]: "1 0 1+0x10" }, "4m"),
  one(
    "LlameroBackendUnhealthy",
    "one of two",
    {
      [`llamero_backend_healthy{${i}, backend="a"}`]: steady(0),
      [`llamero_backend_healthy{${i}, backend="b"}`]: steady(1),
    },
    "6m",
    `${i}, backend="a"`,
  ),
  one("LlameroLowGpuMemory", "2.9 GB", device("free_bytes", steady(gb(2.9))), "2m", `${i}, device="g"`),
  one("LlameroLowGpuMemory", "3 GB", device("free_bytes", steady(gb(3))), "9m"),
  one("LlameroLowGpuMemory", "nothing is known", device("total_bytes", steady(gb(3))), "9m"),
  one("LlameroGpuFault", "cannot be read", device("readable", steady(0)), "3m", `${i}, device="g"`),
  one(
    "LlameroGpuFault",
    "a fault of one of two",
    {
      ...device("readable", steady(1)),
      ...device("healthy", steady(0)),
      ...device("healthy", steady(1), "h"),
    },
    "3m",
    `${i}, device="g"`,
  ),
  one("LlameroGpuFault", "nobody watches it", device("readable", steady(1)), "9m"),
  one(
    "LlameroGpuMemoryGrows",
    "100 MB a minute",
    device("foreign_bytes", `0+${gb(0.1)}x80`),
    "60m",
    `${i}, device="g"`,
  ),
  one("LlameroGpuMemoryGrows", "20 MB a minute", device("foreign_bytes", `0+${gb(0.02)}x80`), "60m"),
  one(
    "LlameroGpuMemoryGrows",
    "a load, which counts as foreign until it ends",
    device("foreign_bytes", `0x35 ${gb(9)}x4 0x40`),
    "45m",
  ),
  one("LlameroGpuMemoryGrows", "much, and always as much", device("foreign_bytes", steady(gb(20), 80)), "60m"),
  one("LlameroModelSpilled", "in part in system memory", model(10, 8, steady(1)), "5m", `${i}, backend="a", model="m"`),
  one("LlameroModelSpilled", "on a backend without a GPU, where it is no spill", model(10, 0), "5m"),
  one("LlameroModelSpilled", "was loaded again since", model(10, 10, steady(3)), "5m"),
  one(
    "LlameroQueueLong",
    "51 for a minute",
    { [`llamero_queue_depth{${i}, model="m"}`]: steady(51) },
    "1m",
    `${i}, model="m"`,
  ),
  one("LlameroQueueLong", "51 for half a minute", { [`llamero_queue_depth{${i}, model="m"}`]: "0 51 0" }, "1m"),
  one("LlameroQueueLong", "50", { [`llamero_queue_depth{${i}, model="m"}`]: steady(50) }, "9m"),
  one("LlameroQueueLong", "two models with 30 each", {
    [`llamero_queue_depth{${i}, model="m"}`]: steady(30),
    [`llamero_queue_depth{${i}, model="n"}`]: steady(30),
  }, "9m"),
  one("LlameroShedding", "6 %", sheds(6), "10m", i),
  one("LlameroShedding", "4 %", sheds(4), "10m"),
  one("LlameroTokensStalled", "streams without an end", tokens("0+100x20 2000+0x40", steady(3)), "35m", i),
  one("LlameroTokensStalled", "no streams", tokens("0+100x20 2000+0x40", "3+0x20 0+0x40"), "35m"),
  one("LlameroTokensStalled", "a backend that never counts tokens", tokens(steady(0), steady(3)), "35m"),
  one("LlameroTokensStalled", "slow, but not stalled", tokens("0+1x60", steady(3)), "35m"),
  one("LlameroBreakerFlaps", "every two minutes", opens("0 1 1 2 2 3 3 4 4 5 5 6 6 7 7 8"), "15m", `${i}, backend="a"`),
  one("LlameroBreakerFlaps", "twice", opens("0 1 1 2 2+0x12"), "15m"),
  one("LlameroRoutingSlowNow", "a fifth is slow", routed(8), "70m", i),
  one("LlameroRoutingSlowNow", "a tenth is slow", routed(9), "70m"),
  one("LlameroRoutingSlow", "a tenth is slow for six hours", routed(9), "380m", i),
  one("LlameroRoutingSlow", "all are fast", routed(10), "380m"),
  one("LlameroEventsLost", "one in ten minutes", { [`llamero_events_lost_total{${i}}`]: "0+0x5 1+0x10" }, "10m", i),
  one(
    "LlameroSpansLost",
    "a collector that is gone",
    { [`llamero_trace_spans_dropped_total{${i}, reason="export-failed"}`]: "0+0x5 0+10x60" },
    "40m",
    `${i}, reason="export-failed"`,
  ),
  one(
    "LlameroSpansLost",
    "a collector that was started again",
    { [`llamero_trace_spans_dropped_total{${i}, reason="export-failed"}`]: "0+0x5 500+0x60" },
    "28m",
  ),
  one(
    "LlameroSpansLost",
    "none were lost",
    { [`llamero_trace_spans_dropped_total{${i}, reason="queue-full"}`]: steady(7) },
    "40m",
  ),
  one("LlameroEventsLost", "long ago", { [`llamero_events_lost_total{${i}}`]: "0+0x5 1+0x60" }, "40m"),
]
