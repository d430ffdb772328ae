/**
 * Keeps models in memory at certain times of the day or week.
 *
 * @since 0.1.0
 */
import { Cron, Duration, Effect } from "effect"
import type { Plan } from "../../services/Plugin.ts"
import type { PlanSchedule } from "../../services/Prewarmer.ts"

/** @category models @since 0.1.0 */
export interface Options {
  readonly models: ReadonlyArray<string>
  /** When the models begin to be needed, as five or six cron fields: `0 9 * * 1-5`. */
  readonly from: string
  /** When the models are no longer needed, as cron fields. */
  readonly until: string
  /** The time zone of both. Defaults to UTC. */
  readonly timeZone?: string | undefined
  /** How long before `from` the models are loaded. Defaults to 5 minutes. */
  readonly before?: Duration.Input | undefined
  /** Whether idle models may be unloaded for them. Defaults to `false`. */
  readonly evicts?: boolean | undefined
}

/**
 * Loads models some time before they are needed, pins them, and unloads them afterwards.
 *
 * **Gotchas**
 *
 * Throws for a cron expression or a time zone that is not valid.
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
  // `prev` looks strictly before its argument. With a second more, a time that is due now counts as begun.
  const last = (cron: Cron.Cron, at: number): number => Cron.prev(cron, at + 1000).getTime()
  /**
   * A window ends with the first `until` after its `from`. So a window that begins within `before` is found as well,
   * and its models are loaded early.
   */
  const wanted = (now: number): boolean => Cron.next(until, last(from, now + before)).getTime() > now
  const schedule = (now: number): PlanSchedule => {
    const start = last(from, now + before)
    const end = Cron.next(until, start).getTime()
    const { models } = options
    return end > now
      ? { models, active: true, lastAt: start - before, nextAt: end }
      : { models, active: false, lastAt: end, nextAt: Cron.next(from, now + before).getTime() - before }
  }
  return { kind: "plan", name: "cron", targets: (now) => Effect.sync(() => wanted(now) ? targets : []), schedule }
}
