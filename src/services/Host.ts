/**
 * Whether the process that routes lives on between requests.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, Schema } from "effect"

/**
 * - `resident`: a process of its own. Background reading goes on, and what is kept in memory is the truth.
 * - `ephemeral`: frozen between requests, and perhaps one of many, as on serverless hosts. The view is read when requests come, and layers that keep truth in
 *   memory refuse to be built.
 *
 * @category models
 * @since 0.1.0
 */
export type HostKind = "resident" | "ephemeral"

/**
 * What layers find out when they are built. Nobody has to provide it: `resident` unless said otherwise.
 *
 * @category services
 * @since 0.1.0
 */
export const Host = Context.Reference<HostKind>("llamero/services/Host", { defaultValue: () => "resident" })

/** For layers that run on a serverless host; `Standard.serverless` has it. @category layers @since 0.1.0 */
export const ephemeral: Layer.Layer<never> = Layer.succeed(Host, "ephemeral")

/**
 * A layer was put where it cannot do what it promises. A mistake in the program, so a defect when the layer is built.
 *
 * @category errors
 * @since 0.1.0
 */
export class NeedsResidentHost extends Schema.TaggedError<NeedsResidentHost>()("NeedsResidentHost", {
  layer: Schema.String,
  /** What does on such a host. */
  instead: Schema.String,
}) {
  override get message(): string {
    return `${this.layer} keeps in memory what must outlive a request, and this host does not; use ${this.instead}`
  }
}

/** Refuses to go on where the host is ephemeral: for layers whose truth is in memory. @category constructors @since 0.1.0 */
export const needsResident = (layer: string, instead: string): Effect.Effect<void> =>
  Effect.flatMap(
    Host,
    (host) => host === "resident" ? Effect.void : Effect.die(new NeedsResidentHost({ layer, instead })),
  )
