/**
 * Plugins that are loaded from files. It has the types of a file's default export, and of an entry that names a file.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"
import type { Filter, Guard, Observer, Picker, Plan, RetryPolicy, Scorer, VictimPicker } from "./Plugin.ts"
import type { TaggedErrorClass } from "./taggedErrorClass.ts"

/** Any kind of plugin that a file may export. @category models @since 0.1.0 */
export type AnyPlugin = Filter | Guard | Observer | Picker | Plan | RetryPolicy | Scorer | VictimPicker

/** A plugin with options, which are checked against a schema first. @category models @since 0.1.0 */
export interface Definition<A = never> {
  readonly kind: "definition"
  readonly name: string
  readonly options: Schema.ConstraintDecoder<A>
  readonly make: (options: A) => AnyPlugin | ReadonlyArray<AnyPlugin>
}

/**
 * The default export of a plugin file that takes options. A file without options exports the plugin itself, or a list
 * of plugins.
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
  kind: "definition",
  name: definition.name,
  options: definition.options,
  // Called on `definition` and not copied from it: it may be an instance of a class, whose methods use `this`.
  make: (options) => definition.make(options),
})

/** A plugin file to load. @category models @since 0.1.0 */
export interface PluginFileEntry {
  /** A path, or a URL where the runtime can import one (Deno can, Node cannot). */
  readonly from: string
  /** The options of a `Definition`. Absent for a file that takes none. */
  readonly options?: unknown
  /** The weight of the file's scorers in the profile. Defaults to `1`. */
  readonly weight?: number | undefined
}

const PluginErrorBase: TaggedErrorClass<PluginError, "PluginError", {
  /** The file, as the entry names it. */
  readonly file: Schema.String
  readonly description: Schema.String
}> = Schema.TaggedError<PluginError>()("PluginError", {
  file: Schema.String,
  description: Schema.String,
})

/** A plugin file that cannot be used, and why. @category errors @since 0.1.0 */
export class PluginError extends PluginErrorBase {
  override get message(): string {
    return `plugin ${this.file}: ${this.description}`
  }
}
