/**
 * Which backends exist, and whether an operator lets new work reach them.
 *
 * @since 0.1.0
 */
import { Context, type Effect, Schema, type Stream } from "effect"

/**
 * One Ollama server.
 *
 * @category models
 * @since 0.1.0
 */
export interface Backend {
  /** Short and stable; the name in metrics, logs, headers and admin calls. Defaults to `host:port` of the URL. */
  readonly id: string
  /** Origin plus an optional path prefix, without a trailing slash: `http://10.0.0.4:11434`. */
  readonly url: string
  /** Free-form, for filters: `{ device: "cpu", zone: "a" }`. */
  readonly labels: Readonly<Record<string, string>>
  /** Streams one model serves at a time: the server's own `OLLAMA_NUM_PARALLEL`, which cannot be read. Defaults to `1`. */
  readonly parallelism: number
  /** Streams over all models of one backend, so of the GPU behind it. Defaults to `8` (the brief's limit). */
  readonly streamsMax: number
  /** UUIDs of the devices it allocates models on; empty when unknown. */
  readonly devices: ReadonlyArray<string>
  /** Relative capacity, for scorers. Defaults to `1`. */
  readonly weight: number
}

/**
 * What a deployer writes to name a backend: a URL, or a URL and what differs from the defaults.
 *
 * @category models
 * @since 0.1.0
 */
export type BackendInput = string | (Partial<Omit<Backend, "url">> & { readonly url: string })

/**
 * A `Backend` from what a deployer wrote.
 *
 * **Gotchas**
 *
 * A URL that is not `http:` or `https:`, or a limit that is not a whole number of at least 1, is a programmer's mistake: it throws a `RangeError`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const backend = (input: BackendInput): Backend => {
  const options = typeof input === "string" ? { url: input } : input
  const url = URL.canParse(options.url) ? new URL(options.url) : undefined
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new RangeError(`Fleet.backend: url must be an http(s) URL, got ${JSON.stringify(options.url)}`)
  }
  const made: Backend = {
    id: options.id ?? url.host,
    url: url.origin + url.pathname.replace(/\/+$/, ""),
    labels: options.labels ?? {},
    parallelism: options.parallelism ?? 1,
    streamsMax: options.streamsMax ?? 8,
    devices: options.devices ?? [],
    weight: options.weight ?? 1,
  }
  for (const field of ["parallelism", "streamsMax"] as const) {
    if (!Number.isInteger(made[field]) || made[field] < 1) {
      throw new RangeError(`Fleet.backend: ${field} must be a whole number of at least 1, got ${made[field]}`)
    }
  }
  if (!(made.weight > 0)) throw new RangeError(`Fleet.backend: weight must be above 0, got ${made.weight}`)
  return made
}

/**
 * Whether it runs its models in system memory: by its label `device: "cpu"`, or because that is the only device it has.
 *
 * @category predicates
 * @since 0.1.0
 */
export const onCpu = ({ devices, labels }: Backend): boolean =>
  labels["device"] === "cpu" || (devices.length > 0 && devices.every((uuid) => uuid.startsWith("system")))

/**
 * `active` takes new work, `draining` finishes what it has, `isolated` is held out by an operator (as a breaker that stays open).
 *
 * @category models
 * @since 0.1.0
 */
export type MemberState = "active" | "draining" | "isolated"

/**
 * A backend and its operator state.
 *
 * @category models
 * @since 0.1.0
 */
export interface Member {
  readonly backend: Backend
  readonly state: MemberState
}

/**
 * No backend has this id.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnknownBackend extends Schema.TaggedError<UnknownBackend>()("UnknownBackend", {
  id: Schema.String,
}) {}

/**
 * The fleet could not be read or is not one: two backends with one id, an unreadable file, a name that does not resolve.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidFleet extends Schema.TaggedError<InvalidFleet>()("InvalidFleet", {
  description: Schema.String,
}) {}

/**
 * The one error a caller of `Fleet` sees.
 *
 * @category errors
 * @since 0.1.0
 */
export class FleetError extends Schema.TaggedError<FleetError>()("FleetError", {
  reason: Schema.Union([UnknownBackend, InvalidFleet]),
}) {
  override get message(): string {
    return this.reason._tag === "UnknownBackend"
      ? `no backend is called ${JSON.stringify(this.reason.id)}`
      : this.reason.description
  }
}

/**
 * The current set of backends.
 *
 * @category services
 * @since 0.1.0
 */
export class Fleet extends Context.Service<Fleet, {
  /** The present members. Synchronous, and the same array until something changes. */
  readonly members: () => ReadonlyArray<Member>
  /** The present members, then every later set. */
  readonly changes: Stream.Stream<ReadonlyArray<Member>>
  /** Drain, isolate or bring back one backend. */
  readonly setState: (id: string, state: MemberState) => Effect.Effect<void, FleetError>
}>()("llamero/services/Fleet") {}
