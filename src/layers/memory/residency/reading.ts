/**
 * Readings of `/api/ps`, and what the ledger learns from them.
 *
 * @since 0.1.0
 */
import { Effect, Option } from "effect"
import type { Backend } from "../../../services/Fleet.ts"
import type { PsModel } from "../../../services/OllamaApi.ts"
import type { Observed } from "../../../services/VramLedger.ts"
import type { Entry } from "./entry.ts"
import type { Held, Holdings } from "./holdings.ts"
import type { Memory } from "./residentModels.ts"
import { isSpilled } from "./spilled.ts"

/** Reads one backend. A reading that fails or is too slow leaves the last one in place. @category models @since 0.1.0 */
export type Read = (held: Held) => Effect.Effect<void>

/** @category constructors @since 0.1.0 */
export const makeRead = ({ api, backends, ended, limits, listeners, nextSeq, now, pumpAll }: Holdings): Read =>
  Effect.fnUntraced(function* (held) {
    const { loads, models } = held
    const begun = nextSeq()
    const rows = yield* api.ps(loads.backend).pipe(
      Effect.timeoutOption(limits.timeout),
      Effect.option,
      Effect.map(Option.flatten),
    )
    // The backend may have left the fleet, or have come back as another one, in the meantime.
    if (backends.get(models.backend) !== held) return
    if (Option.isSome(rows)) {
      held.read = true
      if (models.apply(rows.value, begun, now())) listeners.notify(undefined)
    }
    for (const load of loads.overdue(now())) {
      ended(held, load, now() - load.since, loads.error(load.model.key, "no room in memory", now()))
    }
    pumpAll()
  })

const observedOf = (entry: Entry, row: PsModel): Observed => ({
  size: row.size,
  sizeVram: row.size_vram,
  contextLength: row.context_length,
  automatic: entry.ours && entry.tier === undefined,
})

/** What a reading does to the charges of one backend. @category constructors @since 0.1.0 */
export const memoryOf = ({ catalog, ledger, run, spillListeners }: Holdings, backend: Backend): Memory => {
  const report = (model: string, row: PsModel): void => {
    spillListeners.notify({ backend: backend.id, model, size: row.size, sizeVram: row.size_vram })
    run(Effect.annotateLogs(Effect.logWarning("model does not fit on the GPU: layers spilled to the CPU"), {
      backend: backend.id,
      model,
      size: row.size,
      sizeVram: row.size_vram,
    }))
  }
  const adopt = (entry: Entry, row: PsModel) => ledger.adopt(backend, entry.key, observedOf(entry, row))
  return {
    observe: (entry, row) => {
      entry.allocation ??= adopt(entry, row)
      // From before its memory could be read: from now on it is charged.
      if (entry.allocation.shares().length === 0 && ledger.managed(backend)) {
        entry.allocation.move("gone")
        entry.allocation = adopt(entry, row)
      }
      ledger.observe(entry.allocation, catalog.peek(entry.key), observedOf(entry, row))
      const spilled = isSpilled(backend, row)
      if (spilled && !entry.spilled) report(entry.key, row)
      entry.spilled = spilled
    },
  }
}
