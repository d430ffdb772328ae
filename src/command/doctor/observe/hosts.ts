/**
 * The devices of this machine, and of the machines that have a GPU agent.
 *
 * @since 0.1.0
 */
import { ByteSize, Context, Duration, Effect, type FileSystem, Layer, Option, Redacted, Result } from "effect"
import type { HttpClient } from "effect/http"
import { hostname, networkInterfaces } from "node:os"
import * as AmdSysfsGpuProbe from "../../../layers/gpu/AmdSysfsGpuProbe.ts"
import * as FirstThatWorksGpuProbe from "../../../layers/gpu/FirstThatWorksGpuProbe.ts"
import * as HttpGpuProbe from "../../../layers/gpu/HttpGpuProbe.ts"
import * as NvidiaSmiGpuProbe from "../../../layers/gpu/NvidiaSmiGpuProbe.ts"
import * as NvmlGpuProbe from "../../../layers/gpu/NvmlGpuProbe.ts"
import * as SystemMemoryGpuProbe from "../../../layers/gpu/SystemMemoryGpuProbe.ts"
import type { Settings } from "../../../layers/Settings.ts"
import type { Backend } from "../../../services/Fleet.ts"
import { GpuProbe, type GpuProbeError, type GpuReading, type GpuReadings } from "../../../services/GpuProbe.ts"
import { isOnLoopback } from "../../../wire/hosts.ts"
import type { Device, ObservedHost } from "../observations.ts"

/** Names and addresses of this machine, as they stand in URLs. */
const own = (): ReadonlySet<string> =>
  new Set([
    hostname().toLowerCase(),
    ...Object.values(networkInterfaces()).flatMap((all) =>
      (all ?? []).map(({ address, family }) => family === "IPv6" ? `[${address}]` : address)
    ),
  ])

/** The name of a backend's host: `localhost` for all names of this machine. */
export const hostOf = ({ url }: Backend): string => {
  const name = new URL(url).hostname
  return isOnLoopback(name) || own().has(name) ? "localhost" : name
}

const number = (size: Option.Option<ByteSize.ByteSize>): number | undefined =>
  Option.getOrUndefined(Option.flatMap(size, ByteSize.toNumber))

const device = ({ computeCapability, free, health, kind, name, total, uuid }: GpuReading): Device => ({
  uuid,
  name,
  kind,
  total: number(total),
  free: number(free),
  fault: Option.getOrUndefined(
    Option.flatMap(health, (found) => found._tag === "Unhealthy" ? Option.some(found.reason) : Option.none()),
  ),
  capability: Option.getOrUndefined(computeCapability),
})

/** A host, from what its probe answers. */
export const observedHost = (
  name: string,
  result: Result.Result<GpuReadings, GpuProbeError>,
  driver: ObservedHost["driver"] = undefined,
): ObservedHost =>
  Result.match(result, {
    onSuccess: ({ devices, passedOver, source }) => ({
      name,
      source,
      devices: devices.map(device),
      passedOver,
      driver,
    }),
    onFailure: ({ reason, source }) => ({
      name,
      source: "",
      devices: undefined,
      passedOver: reason._tag === "NoneWorked"
        ? reason.tried
        : [{ source, reason: reason._tag, description: reason.description }],
      driver,
    }),
  })

const driverOf = (driver: Option.Option<NvmlGpuProbe.Driver>): ObservedHost["driver"] =>
  Option.getOrUndefined(Option.map(driver, ({ cuda, version }) => ({
    version: Option.getOrUndefined(version),
    cuda: Option.getOrUndefined(cuda),
  })))

/**
 * This machine. `library` is the path of NVML; empty for the one that the system finds. NVML has more time than in a
 * router: the first call opens every GPU, which takes seconds where no process holds it open.
 */
export const local = (library: string): Effect.Effect<ObservedHost, never, FileSystem.FileSystem> =>
  Effect.scoped(Effect.gen(function* () {
    const libraries = library === "" ? undefined : [library]
    const nvml = yield* Layer.build(NvmlGpuProbe.layer({ libraries, deadline: "2 seconds", openDeadline: "8 seconds" }))
    const { driver } = Context.get(nvml, NvmlGpuProbe.NvmlHelper)
    const probes = yield* Layer.build(FirstThatWorksGpuProbe.layer([
      Layer.succeed(GpuProbe, Context.get(nvml, GpuProbe)),
      NvidiaSmiGpuProbe.layer(),
      AmdSysfsGpuProbe.layer(),
      SystemMemoryGpuProbe.layer(),
    ]))
    const result = yield* Effect.result(Context.get(probes, GpuProbe).read)
    return observedHost("localhost", result, driverOf(yield* driver))
  }))

const agent = (url: string, token: string): Effect.Effect<ObservedHost, never, HttpClient.HttpClient> =>
  Effect.scoped(Effect.gen(function* () {
    const timeout = Duration.seconds(3)
    const built = yield* Layer.build(HttpGpuProbe.layer({ url, token: Redacted.make(token), timeout }))
    return observedHost(new URL(url).hostname, yield* Effect.result(Context.get(built, GpuProbe).read))
  }))

/** The machines of `LLAMERO_AGENTS`. */
export const agents = (
  { agents, agentToken }: Settings,
): Effect.Effect<ReadonlyArray<ObservedHost>, never, HttpClient.HttpClient> =>
  Effect.forEach(agents, (url) => agent(url, agentToken), { concurrency: "unbounded" })
