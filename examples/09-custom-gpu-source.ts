/** A GPU source of your own: NVIDIA's DCGM exporter, which clusters have already. `node examples/09-custom-gpu-source.ts [http://node:9400/metrics]` */
import { NodeServices } from "@effect/platform-node"
import { ByteSize, Effect, Layer, Option } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { FirstThatWorksGpuProbe, GpuProbe, SystemMemoryGpuProbe } from "llamero"
import { MockGpuProbe } from "llamero/testing"
import process from "node:process"

const source = "dcgm"
const fail = (error: unknown) =>
  new GpuProbe.GpuProbeError({ source, reason: new GpuProbe.Unreachable({ description: String(error) }) })

/** `DCGM_FI_DEV_FB_FREE{gpu="0",UUID="GPU-…",modelName="NVIDIA A100"} 39000`, in MiB; the same for what is used. */
const parse = (text: string): ReadonlyArray<GpuProbe.GpuReading> => {
  const used = new Map(
    Array.from(text.matchAll(/^DCGM_FI_DEV_FB_USED\{.*UUID="([^"]+)".*\} (\d+)/gm), (m) => [m[1], m[2]]),
  )
  return Array.from(
    text.matchAll(/^DCGM_FI_DEV_FB_FREE\{.*UUID="([^"]+)".*modelName="([^"]+)".*\} (\d+)/gm),
    ([, uuid = "", name = "", free]) =>
      MockGpuProbe.device(uuid, ByteSize.mebibytes(Number(free) + Number(used.get(uuid) ?? NaN)), {
        name,
        freeBytes: ByteSize.mebibytes(Number(free)),
        health: Option.none(), // these fields do not tell: unknown, not healthy
      }),
  )
}

const dcgm = Effect.fnUntraced(function* (url: string) {
  const client = yield* HttpClient.HttpClient
  const text = Effect.flatMap(client.get(url), (response) => response.text)
  const read = Effect.map(
    Effect.timeout(text, "1 second"),
    (page) => ({ source, passedOver: [], devices: parse(page) }),
  )
  return GpuProbe.GpuProbe.of({ source, read: Effect.mapError(read, fail) })
})

// The system's memory where the exporter does not answer. In a router this goes below `ledger: MemoryVramLedger.layer()`.
const probe = FirstThatWorksGpuProbe.layer([
  Layer.effect(GpuProbe.GpuProbe, dcgm(process.argv[2] ?? "http://127.0.0.1:9400/metrics")).pipe(
    Layer.provide(FetchHttpClient.layer),
  ),
  SystemMemoryGpuProbe.layer(),
]).pipe(Layer.provide(NodeServices.layer))

const readings = await Effect.runPromise(Effect.provide(Effect.flatMap(GpuProbe.GpuProbe, ({ read }) => read), probe))
for (const { free, name } of readings.devices) {
  console.log(`${readings.source}: ${name}: ${Option.match(free, { onNone: () => "?", onSome: ByteSize.format })} free`)
}
