/**
 * A plugin as a file: what its default export may be.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"
import type { Filter, Guard, Observer, Picker, Plan, RetryPolicy, Scorer, VictimPicker } from "./Plugin.ts"

/** Any kind of plugin that a file may bring. @category models @since 0.1.0 */
export type AnyPlugin = Filter | Guard | Observer | Picker | Plan | RetryPolicy | Scorer | VictimPicker

/** A plugin with options that are checked before it is made. @category models @since 0.1.0 */
export interface Definition<A = never> {
  readonly kind: "definition"
  readonly name: string
  readonly options: Schema.ConstraintDecoder<A>
  readonly make: (options: A) => AnyPlugin | ReadonlyArray<AnyPlugin>
}

/**
 * The default export of a plugin file that takes options. A file without options exports the plugin itself, or a list of plugins.
 *
 * **Example** (a scorer that prefers one zone)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { PluginFile } from "llamero"
 *
 * export default PluginFile.define({
 *   name: "near",
 *   options: Schema.Struct({ zone: Schema.String }),
 *   make: ({ zone }) => ({
 *     kind: "scorer",
 *     name: "near",
 *     score: ({ backend }) => backend.labels["zone"] === zone ? 1 : 0
 *   })
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const define = <A>(definition: Omit<Definition<A>, "kind">): Definition<A> => ({
  ...definition,
  kind: "definition",
})

/** Which file to take a plugin from. @category models @since 0.1.0 */
export interface Entry {
  /** A path, or a URL where the runtime can import one (Deno). */
  readonly from: string
  /** For a file with options. */
  readonly options?: unknown
  /** Of its scorers. Defaults to `1`. */
  readonly weight?: number | undefined
}

/** A plugin file that cannot be used, and why. @category errors @since 0.1.0 */
export class PluginError extends Schema.TaggedError<PluginError>()("PluginError", {
  /** As it was named. */
  file: Schema.String,
  description: Schema.String,
}) {
  override get message(): string {
    return `plugin ${this.file}: ${this.description}`
  }
}
