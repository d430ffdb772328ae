/**
 * `llamero ps`: the models in memory, by backend and device.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import type { BackendState, DeviceState, State } from "../../layers/routes/AdminApi.ts"
import * as Connection from "../connection.ts"
import type { CommandFailed } from "../failed.ts"
import type { Asking } from "../flags.ts"
import * as Format from "../format.ts"
import * as Output from "../output.ts"

type Resident = BackendState["models"][number]

/** A model in the memory of a backend, with the memory that it is charged on each device. */
interface Loaded extends Resident {
  readonly backend: string
  readonly devices: ReadonlyArray<{ readonly device: string; readonly bytes: number }>
}

const chargesOn = (devices: ReadonlyArray<DeviceState>, backend: string, model: string): Loaded["devices"] =>
  devices.flatMap(({ device, models }) =>
    models.filter((one) => one.backend === backend && one.model === model && one.bytes > 0)
      .map(({ bytes }) => ({ device, bytes }))
  )

const loadedIn = ({ backends, devices }: State): ReadonlyArray<Loaded> =>
  backends.flatMap(({ id, models }) =>
    models.map((one) => ({ backend: id, ...one, devices: chargesOn(devices, id, one.model) }))
  )

/** The part that is on GPUs, as `ollama ps` writes it. */
const processor = ({ size, size_vram, spilled }: Resident): Output.Cell => {
  if (size === null || size_vram === null || size <= 0) return ""
  const gpu = Math.round(Math.min(1, size_vram / size) * 100)
  const text = gpu === 100 ? "100% GPU" : gpu === 0 ? "100% CPU" : `${100 - gpu}%/${gpu}% CPU/GPU`
  return spilled ? ["warn", text] : text
}

const until = (expiresAt: string | null, now: string): string => {
  if (expiresAt === null || expiresAt === "never") return expiresAt ?? ""
  const left = Format.between(now, expiresAt)
  return left === "now" ? left : `in ${left}`
}

const rowAt = (now: string) => (one: Loaded): ReadonlyArray<Output.Cell> => [
  one.backend,
  one.model,
  one.state === "resident" ? ["good", "loaded"] : ["warn", one.state],
  Format.bytes(one.size),
  processor(one),
  one.context === null ? "" : Format.number(one.context),
  `${one.streams}/${one.streams_max}`,
  until(one.expires_at, now),
  one.pinned ? "pinned" : "",
  one.devices.map(({ bytes, device }) => `${Format.device(device)} ${Format.bytes(bytes)}`).join(", "),
]

const columns: ReadonlyArray<Output.Column> = [
  "BACKEND",
  "MODEL",
  "STATE",
  { right: "SIZE" },
  "PROCESSOR",
  { right: "CONTEXT" },
  { right: "STREAMS" },
  "UNLOADED",
  "PIN",
  "DEVICES",
]

/** @category calls @since 0.1.0 */
export const run = ({ json, ...to }: Asking): Effect.Effect<void, CommandFailed> =>
  Effect.gen(function* () {
    const state = yield* Connection.ask(to, (client) => client.state.state())
    const models = loadedIn(state)
    yield* Output.print(
      json,
      { models },
      (paint) =>
        models.length === 0 ? "No model is in memory." : Output.table(columns, models.map(rowAt(state.at)), paint),
    )
  })
