/**
 * Reads `/api/ps`, and tells the ledger what it shows.
 *
 * @since 0.1.0
 */
import { Effect, Exit, Option } from "effect"
import type { Backend } from "../../../services/Fleet.ts"
import type { PsModel } from "../../../services/OllamaApi.ts"
import type { Allocation, Observed } from "../../../services/VramLedger.ts"
import type { Held, Holdings } from "./holdings.ts"
import type { LoadedModel, Memory } from "./loadedModel.ts"
import type { LoadLoop } from "./loadLoop.ts"
import { isSpilled } from "./spilled.ts"

/**
 * Reads one backend. A reading that fails or is too slow leaves the previous one valid. A defect of the call is passed
 * on, after the loads of the backend have been looked at as after every reading.
 *
 * @category models
 * @since 0.1.0
 */
export type Read = (held: Held) => Effect.Effect<void>

/** @category constructors @since 0.1.0 */
export const makeRead = (holdings: Holdings, loop: LoadLoop): Read => {
  const { api, backends, limits, listeners, nextSeq, now } = holdings

  const apply = Effect.fnUntraced(function* (held: Held) {
    const begun = nextSeq()
    const rows = yield* api.ps(held.loads.backend).pipe(
      Effect.timeoutOption(limits.timeout),
      Effect.option,
      Effect.map(Option.flatten),
    )
    // In the meantime the backend may have left the fleet, or have come back as another one.
    if (Option.isNone(rows) || backends.get(held.models.backend) !== held) return
    held.read = true
    if (held.models.apply(rows.value, begun, now())) listeners.notify(undefined)
  })

  return Effect.fnUntraced(function* (held) {
    const exit = yield* Effect.exit(Effect.suspend(() => apply(held)))
    if (backends.get(held.models.backend) === held) {
      loop.happened(held, { _tag: "Read" })
      loop.look()
    }
    if (Exit.isFailure(exit)) yield* exit
  })
}

const observedOf = (loaded: LoadedModel, row: PsModel): Observed => ({
  size: row.size,
  sizeVram: row.size_vram,
  contextLength: row.context_length,
  automatic: loaded.ours && loaded.tier === undefined,
})

/** What a reading changes in the ledger's charges for one backend. @category constructors @since 0.1.0 */
export const memoryOf = (
  { catalog, contained, ledger, run, spillListeners }: Holdings,
  latest: () => Backend,
): Memory => {
  const { id } = latest()
  const report = (model: string, row: PsModel): void => {
    spillListeners.notify({ backend: id, model, size: row.size, sizeVram: row.size_vram })
    run(Effect.annotateLogs(Effect.logWarning("model does not fit on the GPU: layers spilled to the CPU"), {
      backend: id,
      model,
      size: row.size,
      sizeVram: row.size_vram,
    }))
  }
  const adopt = (loaded: LoadedModel, row: PsModel) => ledger.adopt(latest(), loaded.key, observedOf(loaded, row))
  /** Whether it is charged to a device that the backend does not use: its devices have changed since. */
  const isElsewhere = (allocation: Allocation): boolean => {
    const shares = allocation.shares()
    if (shares.length === 0) return false
    const own = ledger.devices().filter(({ backends }) => backends.includes(id))
    return shares.some((share) => !own.some(({ device }) => device === share.device))
  }
  const charge = (loaded: LoadedModel, row: PsModel): void => {
    const backend = latest()
    const { chargedOn } = loaded
    loaded.allocation ??= adopt(loaded, row)
    // Adopted before the memory of the backend could be read: from now on it is charged.
    const isUncharged = loaded.allocation.shares().length === 0 && ledger.managed(backend)
    const isChanged = chargedOn !== undefined && chargedOn !== backend && isElsewhere(loaded.allocation)
    if (isUncharged || isChanged) {
      loaded.allocation.move("gone")
      loaded.allocation = adopt(loaded, row)
    }
    loaded.chargedOn = backend
    ledger.observe(loaded.allocation, catalog.peek(loaded.key), observedOf(loaded, row))
  }
  return {
    observe: (loaded, row) => {
      contained(`charging ${loaded.key}`, () => charge(loaded, row), undefined)
      const spilled = isSpilled(latest(), row)
      if (spilled && !loaded.spilled) report(loaded.key, row)
      loaded.spilled = spilled
    },
    move: (allocation, to) => contained("Allocation.move", () => allocation?.move(to), undefined),
  }
}
