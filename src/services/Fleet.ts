/**
 * Knows which backends exist, and which of them an operator has drained or isolated.
 *
 * @since 0.1.0
 */
import { Context, type Effect, type Redacted, Schema, type Stream } from "effect"
import * as Access from "./BackendAccess.ts"
import type { TaggedErrorClass } from "./taggedErrorClass.ts"

/**
 * One Ollama server.
 *
 * @category models
 * @since 0.1.0
 */
export interface Backend {
  /** Short and stable: the name in metrics, logs, headers and admin calls. Defaults to `host:port` of the URL. */
  readonly id: string
  /**
   * Origin plus an optional path prefix, without a slash at the end: `http://10.0.0.4:11434`. It has no user and no
   * password.
   */
  readonly url: string
  /** Any names and values, for filters and scorers: `{ device: "cpu", zone: "a" }`. */
  readonly labels: Readonly<Record<string, string>>
  /**
   * Streams of one model at first. The router then finds how many the server serves at the same time: its own
   * `OLLAMA_NUM_PARALLEL`, which Ollama does not tell. With `MemoryLeases.layerFixed` it stays. Defaults to `1`.
   */
  readonly parallelism: number
  /**
   * Most streams at the same time over all models of the backend. A GPU that several backends use has no more either.
   * Defaults to `8`; `LLAMERO_STREAMS_PER_BACKEND` to 32.
   */
  readonly streamsMax: number
  /** UUIDs of the devices that the backend allocates models on; empty when unknown. */
  readonly devices: ReadonlyArray<string>
  /**
   * Capacity relative to the other backends: a backend of weight 2 is meant to serve twice the streams of a backend of
   * weight 1. Above 0. Defaults to `1`.
   *
   * All scorers give the weight this meaning. `LeastBusyScorer` and `PeakEwma` divide streams by it (`loadOf`).
   * `WeightScorer` and `SessionAffinity` divide requests in proportion to it. The standard profile has
   * `LeastBusyScorer`. The weight is not a limit: limits are `parallelism` and `streamsMax`.
   */
  readonly weight: number
  /**
   * What an hour of the backend costs, in any unit: metrics then tell what requests cost in this unit. At least 0.
   * Absent where it is not known.
   */
  readonly price?: number | undefined
  /** Models that it is to have on its disk: `llamero sync` pulls what it lacks. Absent where nothing is said of it. */
  readonly models?: ReadonlyArray<string> | undefined
  /** What the backend asks for, such as a token. Absent where it asks for nothing. */
  readonly access?: Redacted.Redacted<Access.BackendAccess> | undefined
}

/**
 * What a deployer writes to name a backend: a URL, or a URL and the fields that differ from the defaults. The URL can
 * have a user and a password, `https://user:password@host`, which are sent as HTTP Basic authentication.
 *
 * @category models
 * @since 0.1.0
 */
export type BackendInput =
  | string
  | (Partial<Omit<Backend, "access" | "url">> & Access.AccessInput & { readonly url: string })

/**
 * A `Backend` from a `BackendInput`.
 *
 * **Gotchas**
 *
 * Throws a `RangeError` when the URL is not `http:` or `https:` or has an `@` in its path, when a limit is not a whole
 * number of at least 1, when the weight is not a finite number above 0 or the price not one of at least 0, and when a
 * header cannot be sent. The error has no password and no token.
 *
 * @category constructors
 * @since 0.1.0
 */
export const backend = (input: BackendInput): Backend => {
  const options = typeof input === "string" ? { url: input } : input
  const url = URL.canParse(options.url) ? new URL(options.url) : undefined
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:") || url.pathname.includes("@")) {
    const shown = JSON.stringify(Access.withoutPasswords(options.url))
    throw new RangeError(`Fleet.backend: url must be an http(s) URL, got ${shown}`)
  }
  const id = options.id ?? url.host
  const access = Access.make(id, url, options)
  const made: Backend = {
    id,
    url: url.origin + url.pathname.replace(/\/+$/, ""),
    labels: options.labels ?? {},
    parallelism: options.parallelism ?? 1,
    streamsMax: options.streamsMax ?? 8,
    devices: options.devices ?? [],
    weight: options.weight ?? 1,
    ...(options.price === undefined ? {} : { price: options.price }),
    ...(options.models === undefined ? {} : { models: options.models }),
    ...(access === undefined ? {} : { access }),
  }
  for (const field of ["parallelism", "streamsMax"] as const) {
    if (!Number.isInteger(made[field]) || made[field] < 1) {
      throw new RangeError(`Fleet.backend: ${field} must be a whole number of at least 1, got ${made[field]}`)
    }
  }
  if (!(made.weight > 0 && made.weight < Infinity)) {
    throw new RangeError(`Fleet.backend: weight must be a finite number above 0, got ${made.weight}`)
  }
  if (made.price !== undefined && !(made.price >= 0 && made.price < Infinity)) {
    throw new RangeError(`Fleet.backend: price must be a finite number of at least 0, got ${made.price}`)
  }
  return made
}

/**
 * A number of streams in proportion to the backend's capacity: streams over weight. Two backends with the same load are
 * equally busy, whatever their weights.
 *
 * @category accessors
 * @since 0.1.0
 */
export const loadOf = ({ weight }: Backend, streams: number): number => streams / weight

/**
 * The backend's part of the capacity of several backends, in (0, 1]: its weight over the sum of their weights.
 *
 * @category accessors
 * @since 0.1.0
 */
export const shareOf = ({ weight }: Backend, all: ReadonlyArray<{ readonly backend: Backend }>): number => {
  let sum = 0
  for (const { backend } of all) sum += backend.weight
  return weight / sum
}

/**
 * Whether a backend runs its models in system memory: its label `device` is `cpu`, or system memory is the only device
 * that it has.
 *
 * @category predicates
 * @since 0.1.0
 */
export const onCpu = ({ devices, labels }: Backend): boolean =>
  labels["device"] === "cpu" || (devices.length > 0 && devices.every((uuid) => uuid.startsWith("system")))

/**
 * Whether a backend loads models in the same way after a change as before: its devices, its labels and its parallelism
 * are the same.
 *
 * @category predicates
 * @since 0.1.0
 */
export const loadsAlike = (one: Backend, other: Backend): boolean =>
  one === other ||
  JSON.stringify([one.devices, one.labels, one.parallelism]) ===
    JSON.stringify([other.devices, other.labels, other.parallelism])

/**
 * - `active`: takes new requests.
 * - `draining`: gets no new requests and finishes those it has.
 * - `isolated`: held out by an operator, as by a breaker that stays open: it gets no new requests, and the router's own
 *   lists of models do not ask it. Requests that it answers go on; one that fails is retried elsewhere, as usual.
 *
 * @category models
 * @since 0.1.0
 */
export type MemberState = "active" | "draining" | "isolated"

/**
 * A backend and the state that the operator gave it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Member {
  readonly backend: Backend
  readonly state: MemberState
}

const UnknownBackendBase: TaggedErrorClass<UnknownBackend, "UnknownBackend", { readonly id: Schema.String }> = Schema
  .TaggedError<UnknownBackend>()("UnknownBackend", { id: Schema.String })

/**
 * No backend has this id.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnknownBackend extends UnknownBackendBase {}

const InvalidFleetBase: TaggedErrorClass<InvalidFleet, "InvalidFleet", { readonly description: Schema.String }> = Schema
  .TaggedError<InvalidFleet>()("InvalidFleet", { description: Schema.String })

/**
 * The fleet cannot be read or is not valid: two backends with one id, a file that cannot be read, a name that does not
 * resolve.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidFleet extends InvalidFleetBase {}

const FleetErrorBase: TaggedErrorClass<
  FleetError,
  "FleetError",
  { readonly reason: Schema.Union<readonly [typeof UnknownBackend, typeof InvalidFleet]> }
> = Schema.TaggedError<FleetError>()("FleetError", {
  reason: Schema.Union([UnknownBackend, InvalidFleet]),
})

/**
 * The error of `Fleet`: its `reason` says which case it is.
 *
 * @category errors
 * @since 0.1.0
 */
export class FleetError extends FleetErrorBase {
  override get message(): string {
    return this.reason._tag === "UnknownBackend"
      ? `no backend is called ${JSON.stringify(this.reason.id)}`
      : this.reason.description
  }
}

const key = "llamero/services/Fleet"
const Base: Context.ServiceClass<Fleet, typeof key, Service> = Context.Service<Fleet, Service>()(key)

/**
 * The current set of backends.
 *
 * @category services
 * @since 0.1.0
 */
export class Fleet extends Base {}

/** The members of `Fleet`. @category services @since 0.1.0 */
export interface Service {
  /** The present members. Synchronous, and the same array until something changes. */
  readonly members: () => ReadonlyArray<Member>
  /** The present members, then each later set of members. */
  readonly changes: Stream.Stream<ReadonlyArray<Member>>
  /** Drains, isolates or activates one backend. Fails with `UnknownBackend`. */
  readonly setState: (id: string, state: MemberState) => Effect.Effect<void, FleetError>
  /**
   * Reads the set of backends again now, and returns whether it has changed. Fails with `InvalidFleet`; then nothing
   * changes. Absent where the set is fixed.
   */
  readonly reload?: Effect.Effect<boolean, FleetError> | undefined
}
