import type { BreakerKey, BreakerState, BreakerTransition, Permit } from "../../services/Breaker.ts"
import type { OutcomeKind } from "../../services/Outcome.ts"
import type { ModelOnBackend, Observations } from "./observations.ts"
import type { Checker } from "./watch.ts"

interface Circuit {
  state: BreakerState
  /** Permits taken while it is half-open that are not recorded yet. */
  readonly trials: Set<Permit>
  /** The last outcome since the last transition that says something about the backend. */
  lastKind: OutcomeKind | undefined
  /** Failures since the last transition. */
  failures: number
}

/** What is known of each breaker, by what it was observed to do. */
class Circuits {
  readonly counts = { opened: 0, heldBack: 0, trials: 0 }
  private readonly circuits = new Map<string, Circuit>()
  private readonly done = new WeakSet<Permit>()

  private of({ backend, model }: BreakerKey): Circuit {
    const key = `${backend} ${model ?? ""}`
    let found = this.circuits.get(key)
    if (found === undefined) {
      this.circuits.set(key, found = { state: "closed", trials: new Set(), lastKind: undefined, failures: 0 })
    }
    return found
  }

  moved({ from, key, to }: BreakerTransition): string | undefined {
    const one = this.of(key)
    const { failures, lastKind, state } = one
    one.state = to
    one.failures = 0
    if (to !== "half-open") one.trials.clear()
    if (to === "open") this.counts.opened++
    const name = `the breaker of ${key.backend} ${key.model ?? ""}`
    if (from !== state) return `${name} went from ${from}, and was ${state}`
    if (to === "open" && from === "closed" && (failures === 0 || lastKind !== "failure")) {
      return `${name} opened after ${failures} failures, and the last outcome was ${lastKind}`
    }
    if (to === "open" && from === "half-open" && lastKind !== "failure") return `${name} opened again after ${lastKind}`
    return undefined
  }

  // By the states that the breaker itself states: of two circuits that move at once, the second transition is announced
  // after listeners have acted on the first.
  permit({ backend, model, permit, whole, worse }: Observations["permit"]): string | undefined {
    const name = `the breaker of ${backend} ${model}`
    const halfOpen = whole === "half-open"
      ? this.of({ backend })
      : worse === "half-open"
      ? this.of({ backend, model })
      : undefined
    if (permit === undefined) {
      if (worse === "open") this.counts.heldBack++
      if (worse === "closed") return `${name} is closed, and refused a permit`
      const only = whole === "closed" && worse === "half-open"
      return only && halfOpen?.trials.size === 0
        ? `${name} is wedged: it is half-open without a trial, and refused one`
        : undefined
    }
    if (worse === "open" || worse === "isolated") return `${name} is ${worse}, and gave a permit`
    if (halfOpen === undefined) return undefined
    this.counts.trials++
    halfOpen.trials.add(permit)
    return halfOpen.trials.size > 1 ? `${name} is half-open, and gave ${halfOpen.trials.size} permits` : undefined
  }

  recorded({ backend, model, outcome, permit }: ModelOnBackend & Observations["recorded"]): void {
    if (this.done.has(permit)) return
    this.done.add(permit)
    for (const one of [this.of({ backend }), this.of({ backend, model })]) {
      one.trials.delete(permit)
      if (outcome.kind === "ignored") continue
      one.lastKind = outcome.kind
      if (outcome.kind === "failure") one.failures++
    }
  }
}

/**
 * Invariant 6: an open breaker gives no permit, a half-open one gives one at a time. Only failures open a breaker,
 * and a trial that is never recorded does not block it.
 *
 * **Details**
 *
 * Exercised by breakers that opened, by permits that an open one refused, and by trials of half-open ones.
 */
export const breaking = (): Checker => {
  const circuits = new Circuits()
  const { counts } = circuits
  return {
    invariant: 6,
    name: "breaking",
    exercised: () => ({
      "breakers that opened": counts.opened,
      "permits that an open breaker refused": counts.heldBack,
      "trials of half-open breakers": counts.trials,
    }),
    on: {
      moved: (transition) => circuits.moved(transition),
      permit: (asked) => circuits.permit(asked),
      recorded: (one) => circuits.recorded(one),
    },
  }
}
