import type { BreakerKey, BreakerState, Permit } from "../../../src/services/Breaker.ts"
import type { OutcomeKind } from "../../../src/services/Outcome.ts"
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
      permit: ({ backend, model, permit }) => {
        const pair = both({ backend, model })
        const name = `${backend} ${model}`
        if (permit === undefined) {
          const free = pair.every(({ state, trials }) =>
            state === "closed" || (state === "half-open" && trials.size === 0)
          )
          return free ? `${name} is wedged: nobody tries it, and nobody may` : undefined
        }
        for (const one of pair) {
          if (one.state === "open") return `${name} is open, and let one through`
          if (one.state !== "half-open") continue
          one.trials.add(permit)
          if (one.trials.size > 1) return `${name} is half-open, and let ${one.trials.size} through`
        }
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
