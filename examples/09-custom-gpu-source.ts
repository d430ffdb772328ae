/** A GPU source of your own: NVIDIA's DCGM exporter, which clusters have already. `node examples/09-custom-gpu-source.ts [http://node:9400/metrics]` */
import { NodeServices } from "@effect/platform-node"
import { ByteSize, Effect, Layer, Option } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { FirstThatWorksGpuProbe, GpuProbe, MockGpuProbe, SystemMemoryGpuProbe } from "llamero"
import process from "node:process"

const source = "dcgm"
const fail = (error: unknown) =>
  new GpuProbe.GpuProbeError({ source, reason: new GpuProbe.Unreachable({ description: String(error) }) })

/** `DCGM_FI_DEV_FB_FREE{gpu="0",UUID="GPU-…",modelName="NVIDIA A100"} 39000`, in MiB. */
const parse = (text: string): ReadonlyArray<GpuProbe.GpuReading> => {
  const devices = new Map<string, { name: string; free: number; used: number }>()
  for (const [, field, labels = "", value] of text.matchAll(/^DCGM_FI_DEV_FB_(FREE|USED)\{(.*)\} (\d+)/gm)) {
    const label = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(labels)?.[1] ?? "?"
    const device = devices.get(label("UUID")) ?? { name: label("modelName"), free: 0, used: 0 }
    devices.set(label("UUID"), { ...device, [field === "FREE" ? "free" : "used"]: Number(value) })
  }
  return Array.from(
    devices,
    ([uuid, { free, name, used }]) =>
      MockGpuProbe.device(uuid, ByteSize.mebibytes(free + used), {
        name,
        freeBytes: ByteSize.mebibytes(free),
        health: Option.none(), // not in these fields: unknown, not healthy
      }),
  )
}

const layer = (url: string) =>
  Layer.effect(
    GpuProbe.GpuProbe,
    Effect.map(HttpClient.HttpClient, (client) =>
      GpuProbe.GpuProbe.of({
        source,
        read: client.get(url).pipe(
          Effect.flatMap((response) => response.text),
          Effect.timeout("1 second"),
          Effect.mapBoth({
            onFailure: fail,
            onSuccess: (text) => ({ source, passedOver: [], devices: parse(text) }),
          }),
        ),
      })),
  ).pipe(Layer.provide(FetchHttpClient.layer))

// The system's memory where the exporter does not answer. In a router it goes below `ledger: MemoryVramLedger.layer()`.
const probe = FirstThatWorksGpuProbe.layer([
  layer(process.argv[2] ?? "http://127.0.0.1:9400/metrics"),
  SystemMemoryGpuProbe.layer(),
]).pipe(Layer.provide(NodeServices.layer))

const { devices, passedOver, source: from } = await Effect.runPromise(
  Effect.provide(Effect.flatMap(GpuProbe.GpuProbe, ({ read }) => read), probe),
)
for (const { free, name, total } of devices) {
  const shown = [free, total].map(Option.match({ onNone: () => "?", onSome: ByteSize.format }))
  console.log(`${from}: ${name}: ${shown.join(" free of ")}`)
}
for (const { description, source } of passedOver) console.log(`not by ${source}: ${description}`)
