/**
 * A GPU source of your own: NVIDIA's DCGM exporter, which many clusters have.
 * `node examples/09-custom-gpu-source.ts [http://node:9400/metrics]`
 */
import { NodeServices } from "@effect/platform-node"
import { ByteSize, Effect, Layer, Option } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { FirstThatWorksGpuProbe, GpuProbe, SystemMemoryGpuProbe } from "llamero"
import process from "node:process"

const source = "dcgm"
const mebibytes = (count: number) => Option.some(ByteSize.mebibytes(count))

/** A line is `DCGM_FI_DEV_FB_FREE{gpu="0",UUID="GPU-…",modelName="NVIDIA A100"} 39000`, in MiB. */
const freeLine = /^DCGM_FI_DEV_FB_FREE\{.*UUID="([^"]+)".*modelName="([^"]+)".*\} (\d+)/gm
const parse = (page: string): ReadonlyArray<GpuProbe.GpuReading> =>
  Array.from(page.matchAll(freeLine), ([, uuid = "", name = "", free]) => {
    const used = new RegExp(`^DCGM_FI_DEV_FB_USED{.*UUID="${uuid}".*} (\\d+)`, "m").exec(page)?.[1]
    const unknown = GpuProbe.unknown(uuid, name, "gpu")
    if (used === undefined) return unknown
    return { ...unknown, free: mebibytes(Number(free)), total: mebibytes(Number(free) + Number(used)) }
  })

const failed = (error: unknown) =>
  new GpuProbe.GpuProbeError({ source, reason: new GpuProbe.Unreachable({ description: String(error) }) })

const dcgm = Effect.map(HttpClient.HttpClient, (client) => {
  const get = client.get(process.argv[2] ?? "http://127.0.0.1:9400/metrics")
  const page = Effect.timeout(Effect.flatMap(get, (response) => response.text), "1 second")
  const read = Effect.map(page, (text) => ({ source, passedOver: [], devices: parse(text) }))
  return GpuProbe.GpuProbe.of({ source, read: Effect.mapError(read, failed) })
})
const layer = Layer.effect(GpuProbe.GpuProbe, dcgm).pipe(Layer.provide(FetchHttpClient.layer))

// To try it: if the exporter does not answer, the system's memory is read. In a router, provide `probe` to the ledger:
// `ledger: MemoryVramLedger.layer().pipe(Layer.provide(probe))`.
const probe = FirstThatWorksGpuProbe.layer([layer, SystemMemoryGpuProbe.layer()]).pipe(
  Layer.provide(NodeServices.layer),
)
const readings = await Effect.runPromise(Effect.provide(Effect.flatMap(GpuProbe.GpuProbe, ({ read }) => read), probe))
for (const { free, name } of readings.devices) {
  console.log(`${readings.source}: ${name}: ${Option.match(free, { onNone: () => "?", onSome: ByteSize.format })} free`)
}
