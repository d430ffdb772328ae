import type { BreakerKey, BreakerState, Permit } from "../../services/Breaker.ts"
import type { OutcomeKind } from "../../services/Outcome.ts"
import type { Checker, There } from "./sights.ts"

interface Circuit {
  state: BreakerState
  /** Taken since the last transition, and not recorded yet. */
  readonly trials: Set<Permit>
  /** Outcomes that say something, since the last transition. */
  lastKind: OutcomeKind | undefined
  failures: number
}

/** Invariant 6: open lets nothing through, half-open one; only failures open it, and an unrecorded trial wedges nothing. */
export const breaking = (): Checker => {
  const circuits = new Map<string, Circuit>()
  const circuit = ({ backend, model }: BreakerKey): Circuit => {
    const key = `${backend} ${model ?? ""}`
    let found = circuits.get(key)
    if (found === undefined) {
      circuits.set(key, found = { state: "closed", trials: new Set(), lastKind: undefined, failures: 0 })
    }
    return found
  }
  const both = ({ backend, model }: There) => [circuit({ backend }), circuit({ backend, model })] as const
  const done = new WeakSet<Permit>()
  return {
    invariant: 6,
    name: "breaking",
    see: {
      moved: ({ from, key, to }) => {
        const one = circuit(key)
        const { failures, lastKind, state } = one
        one.state = to
        one.failures = 0
        if (to !== "half-open") one.trials.clear()
        const name = `${key.backend} ${key.model ?? ""}`
        if (from !== state) return `${name} went from ${from}, and was ${state}`
        if (to === "open" && from === "closed" && (failures === 0 || lastKind !== "failure")) {
          return `${name} opened after ${failures} failures, the last outcome was ${lastKind}`
        }
        if (to === "open" && from === "half-open" && lastKind !== "failure") {
          return `${name} opened again after ${lastKind}`
        }
      },
      // By what the breaker says of itself: of two circuits that move at once, the second is announced after listeners have acted on the first.
      permit: ({ backend, model, permit, whole, worse }) => {
        const name = `${backend} ${model}`
        const halfOpen = whole === "half-open"
          ? circuit({ backend })
          : worse === "half-open"
          ? circuit({ backend, model })
          : undefined
        if (permit === undefined) {
          if (worse === "closed") return `${name} is closed, and lets nobody through`
          const only = whole === "closed" && worse === "half-open"
          return only && halfOpen?.trials.size === 0 ? `${name} is wedged: nobody tries it, and nobody may` : undefined
        }
        if (worse === "open" || worse === "isolated") return `${name} is ${worse}, and let one through`
        if (halfOpen === undefined) return
        halfOpen.trials.add(permit)
        if (halfOpen.trials.size > 1) return `${name} is half-open, and let ${halfOpen.trials.size} through`
      },
      recorded: ({ backend, model, outcome, permit }) => {
        if (done.has(permit)) return
        done.add(permit)
        for (const one of both({ backend, model })) {
          one.trials.delete(permit)
          if (outcome.kind === "ignored") continue
          one.lastKind = outcome.kind
          if (outcome.kind === "failure") one.failures++
        }
      },
    },
  }
}
