/**
 * The calls of the admin API that change the router itself.
 *
 * @since 0.1.0
 */
import { type LogLevel, Schema } from "effect"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import { type Get, get, type Post, post, says } from "./endpoint.ts"
import * as Errors from "./errors.ts"

/** What was read again, and what came of it. */
export interface Read {
  readonly what: string
  readonly result: "changed" | "unchanged" | "read"
}

/** What the log has in it. */
export interface Log {
  readonly level: LogLevel.LogLevel
  /** The share of requests without an error that get a line, from 0 to 1. */
  readonly sample: number
}

const Level = Schema.Literals(["All", "Trace", "Debug", "Info", "Warn", "Error", "Fatal", "None"])
const Sample = Schema.Number.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
const LogState = Schema.Struct({ level: Level, sample: Sample })

const log: Get<"log", "/admin/log", Log, Errors.NotNow> = get("log", "/admin/log", {
  success: LogState,
  error: Errors.NotNow,
}).annotateMerge(says("What the log has in it"))

const setLog: Post<
  "setLog",
  "/admin/log",
  Log,
  Errors.BadCall | Errors.NotNow,
  { readonly payload: { readonly level?: LogLevel.LogLevel; readonly sample?: number } }
> = post("setLog", "/admin/log", {
  payload: Schema.Struct({ level: Schema.optionalKey(Level), sample: Schema.optionalKey(Sample) }),
  success: LogState,
  error: [Errors.BadCall, Errors.NotNow],
}).annotateMerge(says("Changes the level and the sampling of the log", "Until the process ends."))

const reload: Post<"reload", "/admin/reload", { readonly reloaded: ReadonlyArray<Read> }, Errors.NotNow> = post(
  "reload",
  "/admin/reload",
  {
    success: Schema.Struct({
      reloaded: Schema.Array(
        Schema.Struct({ what: Schema.String, result: Schema.Literals(["changed", "unchanged", "read"]) }),
      ),
    }),
    error: Errors.NotNow,
  },
).annotateMerge(
  says(
    "Reads everything again now that is else read at intervals",
    "The fleet and the API keys, where they come from files or DNS, or all settings of the reference server; then " +
      "health, catalog, devices and memory. 409 says what is wrong; then no setting has changed.",
  ),
)

/** @category groups @since 0.1.0 */
export const routerCalls: HttpApiGroup.HttpApiGroup<
  "router",
  typeof log | typeof setLog | typeof reload
> = HttpApiGroup.make("router").add(log, setLog, reload).annotateMerge(says("", "Changes the router itself."))
