/**
 * Everything that the checks look at, as plain values. `undefined` means "not known": a check must then say nothing.
 *
 * @since 0.1.0
 */
import type { Settings } from "../../layers/Settings.ts"
import { type Backend, onCpu } from "../../services/Fleet.ts"
import type { DeviceKind, PassedOver } from "../../services/GpuProbe.ts"
import type { PsModel, TagsModel } from "../../services/OllamaApi.ts"

/** What a server answered to the first question, `GET /api/version`. */
export type Answer =
  | {
    readonly _tag: "Answered"
    readonly status: number
    readonly millis: number
    /** The first characters of the body. */
    readonly text: string
    /** How far its clock is ahead of ours, in milliseconds; below 0 where it is behind. */
    readonly skewMillis: number | undefined
  }
  | { readonly _tag: "NoAnswer"; readonly why: WhyNoAnswer; readonly description: string }

/**
 * - `refused`: nothing listens there
 * - `name`: the host name does not resolve
 * - `certificate`: the certificate is not trusted
 * - `timeout`: it took too long
 * - `protocol`: what answers does not speak HTTP
 * - `broken`: the connection could not be made, or broke
 */
export type WhyNoAnswer = "refused" | "name" | "certificate" | "timeout" | "protocol" | "broken"

/** One backend, and what it says of itself. */
export interface ObservedBackend {
  readonly backend: Backend
  readonly answer: Answer
  /** `undefined` also where the answer is not Ollama's. */
  readonly version: string | undefined
  readonly tags: ReadonlyArray<TagsModel> | undefined
  readonly ps: ReadonlyArray<PsModel> | undefined
  /** The host in `hosts` on which it runs. */
  readonly host: string | undefined
}

/** A GPU, or the memory of the system. Sizes are bytes. */
export interface Device {
  readonly uuid: string
  readonly name: string
  readonly kind: DeviceKind
  readonly total: number | undefined
  readonly free: number | undefined
  /** Why it must not be used. */
  readonly fault: string | undefined
  /** NVIDIA's compute capability, such as 8.6. */
  readonly capability: number | undefined
}

/** The devices of one machine. */
export interface ObservedHost {
  /** `localhost`, or the host name of its GPU agent. */
  readonly name: string
  /** The source that answered; empty where none did. */
  readonly source: string
  readonly devices: ReadonlyArray<Device> | undefined
  /** Sources that did not answer, and why. */
  readonly passedOver: ReadonlyArray<PassedOver>
  readonly driver: { readonly version: string | undefined; readonly cuda: string | undefined } | undefined
}

/** Environment variables of a program. */
export interface ObservedEnvironment {
  /** Whose they are: those of Ollama, or those of this command, where Ollama's are not known. */
  readonly of: "ollama" | "command"
  /** For people: `process 4711`, or the name of a file. */
  readonly from: string
  /** Ids of the backends that have these variables. */
  readonly backends: ReadonlyArray<string>
  readonly values: Readonly<Record<string, string>>
}

/** A model that the fleet must have, and why. */
export interface WantedModel {
  /** As it was written. */
  readonly name: string
  /** Canonical. */
  readonly key: string
  readonly required: boolean
  /** Whether a plan (`LLAMERO_PREWARM`, `LLAMERO_PINNED`) loads it. */
  readonly planned: boolean
}

/** Memory that a model would take on a backend. */
export interface ObservedFootprint {
  readonly backend: string
  /** Canonical name. */
  readonly model: string
  /** Tokens. */
  readonly context: number
  /** Whether Ollama would choose this context by itself. */
  readonly automatic: boolean
  readonly bytes: number
}

/** A running router, by its admin API. */
export interface ObservedRouter {
  readonly url: string
  readonly answer: Answer
  readonly state: RouterState | undefined
}

/** The parts of `/admin/state` that are looked at. */
export interface RouterState {
  readonly backends: ReadonlyArray<{
    readonly id: string
    readonly url: string
    readonly health: string
    readonly reason: string
    readonly models: ReadonlyArray<{ readonly model: string; readonly streams_max: number }>
  }>
  readonly prewarm: ReadonlyArray<{
    readonly model: string
    readonly backend: string | null
    readonly state: string
    readonly reason: string
  }>
}

/** The time-outs of programs in front of the router, in milliseconds. */
export interface InFront {
  readonly clientMillis: number | undefined
  readonly proxyMillis: number | undefined
}

/** Everything that was seen. */
export interface Observations {
  readonly settings: {
    /** The defaults where they cannot be read. */
    readonly values: Settings
    /** What is wrong with them, a line each; empty where nothing is. */
    readonly flaws: ReadonlyArray<string>
  }
  /** Why the list of backends cannot be read. */
  readonly fleetFlaw: string | undefined
  readonly backends: ReadonlyArray<ObservedBackend>
  readonly hosts: ReadonlyArray<ObservedHost>
  readonly environments: ReadonlyArray<ObservedEnvironment>
  readonly models: ReadonlyArray<WantedModel>
  readonly footprints: ReadonlyArray<ObservedFootprint>
  /** `undefined` where it was not asked for. */
  readonly router: ObservedRouter | undefined
  /** The limit of open files of a process that is started as this one is. */
  readonly openFiles: number | undefined
  readonly inFront: InFront
}

/** The variables of the Ollama that a backend is; `undefined` where they are not known. */
export const environmentOf = (
  { environments }: Observations,
  backend: string,
): ObservedEnvironment | undefined =>
  environments.find((found) => found.of === "ollama" && found.backends.includes(backend))

/**
 * The GPUs in which a backend puts models: those that it names, else those of its host. `undefined` where they are not
 * known; empty where it runs on the CPU.
 */
export const devicesOf = (
  { hosts }: Observations,
  { backend, host }: ObservedBackend,
): ReadonlyArray<Device> | undefined => {
  if (onCpu(backend)) return []
  if (backend.devices.length > 0) {
    const all = hosts.flatMap(({ devices }) => devices ?? [])
    const named = backend.devices.map((uuid) => all.find((device) => device.uuid === uuid))
    return named.every((device) => device !== undefined) ? named : undefined
  }
  return hosts.find(({ name }) => name === host)?.devices?.filter(({ kind }) => kind !== "system")
}

/** Reasons that mean "there is nothing to read here". */
const absent: ReadonlySet<string> = new Set(["LibraryMissing", "NotSupported"])

/** The first source of a host that should see its GPUs and fails, where no other source sees any. */
export const broken = ({ devices, passedOver }: ObservedHost): PassedOver | undefined =>
  devices?.some(({ kind }) => kind !== "system") === true
    ? undefined
    : passedOver.find(({ reason }) => !absent.has(reason))

/** Backends that answered as an Ollama does. */
export const answering = ({ backends }: Observations): ReadonlyArray<ObservedBackend> =>
  backends.filter(({ version }) => version !== undefined)
