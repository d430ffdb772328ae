/**
 * Keeps models in memory at certain times.
 *
 * @since 0.1.0
 */
import { Cron, Duration, Effect } from "effect"
import type { Plan } from "../../services/Plugin.ts"

/** @category models @since 0.1.0 */
export interface Options {
  readonly models: ReadonlyArray<string>
  /** When they are needed, as five or six cron fields: `0 9 * * 1-5`. */
  readonly from: string
  /** When no longer. */
  readonly until: string
  /** Of both. Defaults to UTC. */
  readonly timeZone?: string | undefined
  /** So long before `from` they are loaded. Defaults to 5 minutes. */
  readonly before?: Duration.Input | undefined
  /** Whether idle models may be unloaded for them. Defaults to `false`. */
  readonly evicts?: boolean | undefined
}

/**
 * Loads models some time before they are needed, pins them, and unloads them afterwards.
 *
 * **Gotchas**
 *
 * An expression or a time zone that is none throws.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Plan => {
  const zone = options.timeZone ?? "UTC"
  const from = Cron.parseUnsafe(options.from, zone)
  const until = Cron.parseUnsafe(options.until, zone)
  const before = Duration.toMillis(Duration.fromInputUnsafe(options.before ?? "5 minutes"))
  const targets = options.models.map((model) => ({
    model,
    pinned: true,
    released: true,
    evicts: options.evicts ?? false,
  }))
  // `prev` looks strictly before: a second later, what is due now has begun.
  const last = (cron: Cron.Cron, at: number): number => Cron.prev(cron, at + 1000).getTime()
  /** Each window ends with the first `until` after its `from`, so one that has not begun yet may already be loaded for. */
  const wanted = (now: number): boolean => Cron.next(until, last(from, now + before)).getTime() > now
  return { kind: "plan", name: "cron", targets: (now) => Effect.sync(() => wanted(now) ? targets : []) }
}
