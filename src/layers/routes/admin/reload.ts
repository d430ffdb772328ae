/**
 * Reads everything again at once that is else read at intervals.
 *
 * @since 0.1.0
 */
import { Effect, Option } from "effect"
import { ApiKeys } from "../../../services/ApiKeys.ts"
import { NotNow } from "./errors.ts"
import type { Services } from "./state.ts"

/** One thing that was read again. @category models @since 0.1.0 */
export interface Reloaded {
  readonly what: string
  readonly result: "changed" | "unchanged" | "read"
}

/** Reads all of it again. @category models @since 0.1.0 */
export type Reload = Effect.Effect<ReadonlyArray<Reloaded>, NotNow>

/** What a program reads again by itself: its settings, its fleet, its keys. @category models @since 0.1.0 */
export type OwnReload = Effect.Effect<ReadonlyArray<Reloaded>, { readonly message: string }>

type Step = Effect.Effect<ReadonlyArray<Reloaded>, { readonly message: string }>

const compared = (
  what: string,
  reload: Effect.Effect<boolean, { readonly message: string }> | undefined,
): ReadonlyArray<Step> =>
  reload === undefined ? [] : [Effect.map(reload, (changed) => [{ what, result: changed ? "changed" : "unchanged" }])]

const read = (what: string, refresh: Effect.Effect<void>): Step => Effect.as(refresh, [{ what, result: "read" }])

/**
 * The fleet and the keys first, or what the program reads in their place, since the rest is read from the backends that
 * the fleet then has. What fails does not keep the rest from being read.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = ({ catalog, fleet, health, ledger, residency }: Services, own: OwnReload | undefined) =>
  Effect.map(Effect.serviceOption(ApiKeys), (keys): Reload => {
    const steps: ReadonlyArray<Step> = [
      ...(own === undefined
        ? [...compared("fleet", fleet.reload), ...compared("keys", Option.getOrUndefined(keys)?.reload)]
        : [own]),
      read("health", health.check),
      read("catalog", catalog.refresh),
      read("devices", ledger.refresh),
      read("residency", residency.refresh),
    ]
    return Effect.gen(function* () {
      const done: Array<Reloaded> = []
      const failed: Array<string> = []
      for (const step of steps) {
        const result = yield* Effect.result(step)
        if (result._tag === "Success") done.push(...result.success)
        else failed.push(result.failure.message)
      }
      return failed.length === 0 ? done : yield* new NotNow({ error: failed.join("; ") })
    })
  })
