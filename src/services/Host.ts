/**
 * Says whether the router's process keeps running between requests.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, Schema } from "effect"
import type { TaggedErrorClass } from "./taggedErrorClass.ts"

/**
 * - `resident`: a process that always runs. Backends are read in the background, and layers may keep state in memory.
 * - `ephemeral`: a process that is stopped between requests and may be one of many, as on serverless hosts. Backends
 *   are read when a request comes. Layers whose state has to outlive a request cannot be built.
 *
 * @category models
 * @since 0.1.0
 */
export type HostKind = "resident" | "ephemeral"

/**
 * Read by layers when they are built. It is `resident` unless another value is provided.
 *
 * @category services
 * @since 0.1.0
 */
export const Host: Context.Reference<HostKind> = Context.Reference<HostKind>("llamero/services/Host", {
  defaultValue: () => "resident",
})

/** For layers on a serverless host; `Standard.serverless` provides it. @category layers @since 0.1.0 */
export const ephemeral: Layer.Layer<never> = Layer.succeed(Host, "ephemeral")

const NeedsResidentHostBase: TaggedErrorClass<NeedsResidentHost, "NeedsResidentHost", {
  readonly layer: Schema.String
  /** What can be used on such a host. */
  readonly instead: Schema.String
}> = Schema.TaggedError<NeedsResidentHost>()("NeedsResidentHost", {
  layer: Schema.String,
  instead: Schema.String,
})

/**
 * A layer needs a resident host and is built on an ephemeral one. This is a mistake in the program, so it is a defect
 * of the build.
 *
 * @category errors
 * @since 0.1.0
 */
export class NeedsResidentHost extends NeedsResidentHostBase {
  override get message(): string {
    return `${this.layer} keeps state in memory that has to outlive a request, which this host does not allow; use ${this.instead}`
  }
}

/**
 * Dies with `NeedsResidentHost` on an ephemeral host: for layers that keep state in memory.
 *
 * @category constructors
 * @since 0.1.0
 */
export const needsResident = (layer: string, instead: string): Effect.Effect<void> =>
  Effect.flatMap(
    Host,
    (host) => host === "resident" ? Effect.void : Effect.die(new NeedsResidentHost({ layer, instead })),
  )
