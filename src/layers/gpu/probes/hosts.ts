/**
 * The devices of several machines, read together.
 *
 * @since 0.1.0
 */
import { type Duration, Effect, Equal, Option, Result } from "effect"
import {
  type GpuProbe,
  GpuProbeError,
  type GpuReading,
  type GpuReadings,
  NoneWorked,
  type PassedOver,
} from "../../../services/GpuProbe.ts"
import * as SharedRead from "./sharedRead.ts"

const loopback = ["localhost", "127.0.0.1", "[::1]", "0.0.0.0"]

/** The host of a URL. All names of this machine give `localhost`. @internal */
export const nameOf = (url: string): string => {
  const { hostname } = new URL(url)
  return loopback.includes(hostname) ? "localhost" : hostname
}

/** UUIDs of a host's devices. @internal */
export interface Seen {
  readonly gpus: ReadonlyArray<string>
  readonly system: ReadonlyArray<string>
}

/** What one host answered. @internal */
export interface Answer {
  readonly result: Result.Result<GpuReadings, PassedOver>
  /** Whether the devices are different from before. */
  readonly changed: boolean
}

/** Whether the UUID is unique in the world. Other ids are unique on one machine only. */
const isGlobal = (uuid: string): boolean => /^(GPU|MIG)-/.test(uuid)

const isLost = ({ free, health }: GpuReading): boolean =>
  Option.isNone(free) && Option.isSome(health) && health.value._tag === "Unhealthy"

/** @internal */
export class Host {
  readonly name: string
  readonly read: Effect.Effect<Answer>
  seen: Seen | undefined

  constructor(name: string, probe: GpuProbe["Service"], limit: Duration.Duration) {
    this.name = name
    const timeout = new GpuProbeError({ source: probe.source, reason: SharedRead.timeout(limit) })
    const read = Effect.timeoutOrElse(probe.read, { duration: limit, orElse: () => Effect.fail(timeout) })
    this.read = Effect.map(Effect.result(read), (result) => {
      if (Result.isFailure(result)) {
        const { message, reason } = result.failure
        return {
          changed: false,
          result: Result.fail({ source: this.name, reason: reason._tag, description: message }),
        }
      }
      const devices = result.success.devices.map((device) => this.named(device))
      return { changed: this.note(devices), result: Result.succeed({ ...result.success, devices }) }
    })
  }

  private named(device: GpuReading): GpuReading {
    return isGlobal(device.uuid) ? device : { ...device, uuid: `${device.uuid}@${this.name}` }
  }

  private note(devices: ReadonlyArray<GpuReading>): boolean {
    const before = this.seen
    const of = (system: boolean, among = devices) =>
      among.filter(({ kind }) => (kind === "system") === system).map(({ uuid }) => uuid).sort()
    // A GPU that was lost before it was ever read may not have its own id yet. No model can be on it.
    const known = devices.filter((device) => !isLost(device) || before?.gpus.includes(device.uuid) === true)
    const gpus = of(false, of(false, known).length > 0 ? known : devices)
    const next: Seen = {
      gpus: gpus.length > 0 ? gpus : before?.gpus ?? [],
      system: of(true).length > 0 ? of(true) : before?.system ?? [],
    }
    if (Equal.equals(before, next)) return false
    this.seen = next
    return true
  }
}

/** Joins the readings of all hosts that answered. @internal */
export const joinReadings = (answers: ReadonlyArray<Answer>): Effect.Effect<GpuReadings, GpuProbeError> => {
  const tried = answers.flatMap(({ result }) => Result.isFailure(result) ? [result.failure] : [])
  const good = answers.flatMap(({ result }) => Result.isSuccess(result) ? [result.success] : [])
  if (good.length === 0 && tried.length > 0) {
    const description = tried.map((one) => `${one.source}: ${one.description}`).join("; ")
    return Effect.fail(new GpuProbeError({ source: "hosts", reason: new NoneWorked({ tried, description }) }))
  }
  return Effect.succeed({
    source: good.map(({ source }) => source).join(", "),
    passedOver: [...tried, ...good.flatMap(({ passedOver }) => passedOver)],
    devices: good.flatMap(({ devices }) => devices),
  })
}
