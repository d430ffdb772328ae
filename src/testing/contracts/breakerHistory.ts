/** Plays a generated history of attempts, time and operators against a `Breaker`, and keeps its own account of it. */
import { Effect, Schema } from "effect"
import {
  Breaker,
  type BreakerKey,
  type BreakerState,
  type BreakerTransition,
  type Permit,
} from "../../services/Breaker.ts"
import { clientGone, type Outcome, success } from "../../services/Outcome.ts"
import * as assert from "../assert.ts"
import { broken, byFailures, type Drive, type Options, refused, saturated, silent } from "./breakerDrive.ts"

const fiveInARow = (failures: ReadonlyArray<boolean>): boolean =>
  failures.length >= 5 && failures.slice(-5).every((failure) => failure)

/** How often situations occurred in all histories of one property. */
export interface Seen {
  trials: number
  /** A half-open breaker was asked while its trial ran. */
  contended: number
  /** An outcome came after a transition of the breaker. */
  stale: number
  opened: number
  isolated: number
}

const upTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

/**
 * One step: `what` says which. 0 to 2 acquire, 3 to 5 record an outcome of an open permit, 6 opens the breaker of a
 * backend and 7 that of a model there, 8 and 9 let time pass, 10 isolates or restores, and 11 acquires and records.
 */
export const Step = Schema.Struct({
  what: upTo(11),
  backend: upTo(1),
  model: upTo(1),
  which: upTo(7),
  outcome: upTo(8),
})

const outcomes: ReadonlyArray<Outcome> = [
  success,
  refused,
  refused,
  refused,
  broken,
  broken,
  silent,
  saturated,
  clientGone,
]

const keyOf = ({ backend, model }: BreakerKey): string => model === undefined ? backend : `${backend}/${model}`

/** Whether an outcome is a failure for the breaker of `key`; `undefined` where it says nothing. */
const verdict = (key: string, outcome: Outcome, trial: boolean): boolean | undefined => {
  if (outcome === success) return false
  if (key.includes("/")) return outcome === broken || outcome === silent ? true : undefined
  if (outcome === refused) return true
  if (outcome === broken) return false
  return outcome === silent && trial ? true : undefined
}

interface OpenPermit {
  readonly permit: Permit
  /** Each breaker, with its count of transitions when the permit was taken, and whether the permit is its trial. */
  readonly keys: ReadonlyArray<{ readonly key: string; readonly moves: number; readonly trial: boolean }>
}

/** The state that each breaker must have, and the permits that are open. */
class Account {
  readonly open: Array<OpenPermit> = []
  /** Collected, since an error that a listener throws may go to the background. */
  readonly wrong: Array<string> = []
  /** Whether a driver opens a breaker now, without failures. */
  driving = false
  private readonly isolated = new Set<string>()
  private readonly states = new Map<string, BreakerState>()
  private readonly moves = new Map<string, number>()
  /** Failures (`true`) and successes of each closed breaker since its last transition. */
  private readonly outcomes = new Map<string, Array<boolean>>()
  private readonly trials = new Map<string, Permit>()
  private recording: Outcome | undefined
  private readonly breaker: Breaker["Service"]
  private readonly seen: Seen
  private readonly trips: (failures: ReadonlyArray<boolean>) => boolean

  constructor(breaker: Breaker["Service"], seen: Seen, trips: (failures: ReadonlyArray<boolean>) => boolean) {
    this.breaker = breaker
    this.seen = seen
    this.trips = trips
    breaker.onTransition((transition) => this.moved(transition))
  }

  stateOf(key: string): BreakerState {
    return this.states.get(key) ?? "closed"
  }
  private movesOf(key: string): number {
    return this.moves.get(key) ?? 0
  }

  private moved({ from, key, to }: BreakerTransition): void {
    const name = keyOf(key)
    const must = (holds: boolean, what: string) => holds || this.wrong.push(`${name} ${from}>${to}: ${what}`)
    must(from === this.stateOf(name) && from !== to, "transitions follow on one another")
    if (to === "open") {
      // A store that still knows a breaker to be open opens it again after it was restored.
      must(this.driving || this.recording?.kind === "failure" || this.isolated.has(name), "only a failure opens")
    }
    if (to === "closed") must(from === "half-open" || from === "isolated", "only a trial or an operator closes")
    if (from === "isolated") must(to === "closed", "only an operator ends an isolation")
    if (to === "isolated") this.isolated.add(name)
    this.states.set(name, to)
    this.moves.set(name, this.movesOf(name) + 1)
    this.outcomes.delete(name)
    this.trials.delete(name)
  }

  acquire(backend: string, model: string): Permit | undefined {
    const keys = [keyOf({ backend }), keyOf({ backend, model })]
    const held = keys.some((key) => ["open", "isolated"].includes(this.stateOf(key)))
    const contended = keys.some((key) => this.stateOf(key) === "half-open" && this.trials.has(key))
    const permit = this.breaker.acquire(backend, model)
    assert.strictEqual(permit === undefined, held || contended, `${keys[1]} lets through what it must`)
    if (!held && contended) this.seen.contended++
    if (permit === undefined) return undefined
    const trial = keys.filter((key) => this.stateOf(key) === "half-open")
    assert.strictEqual(permit.trial, trial.length > 0)
    for (const key of trial) this.trials.set(key, permit)
    if (permit.trial) this.seen.trials++
    const moved = keys.map((key) => ({ key, moves: this.movesOf(key), trial: trial.includes(key) }))
    this.open.push({ permit, keys: moved })
    return permit
  }

  /** The state that a breaker must have after `outcome`. */
  private expected({ key, moves, trial }: OpenPermit["keys"][number], outcome: Outcome): BreakerState {
    if (this.movesOf(key) !== moves) return this.stateOf(key)
    const failure = verdict(key, outcome, trial)
    if (trial) {
      this.trials.delete(key)
      return failure === undefined ? "half-open" : failure ? "open" : "closed"
    }
    if (failure === undefined) return "closed"
    const since = [...this.outcomes.get(key) ?? [], failure]
    this.outcomes.set(key, since)
    return failure && this.trips(since) ? "open" : "closed"
  }

  /** Records an outcome on an open permit, if there is one. */
  record(index: number, outcome: Outcome): void {
    const [one] = this.open.splice(index % this.open.length, 1)
    if (one === undefined) return
    const after = one.keys.map((key) => [key.key, this.expected(key, outcome)] as const)
    if (one.keys.some(({ key, moves }) => this.movesOf(key) !== moves)) this.seen.stale++
    this.recording = outcome
    one.permit.record(outcome)
    this.recording = undefined
    for (const [key, state] of after) {
      assert.strictEqual(this.stateOf(key), state, `${key} after ${outcome.cause}`)
      if (state === "open") this.seen.opened++
    }
  }
}

const openUp = Effect.fnUntraced(function* <R>(account: Account, key: BreakerKey, own: Drive<R> | undefined) {
  if (own !== undefined) {
    account.driving = true
    if (account.stateOf(keyOf(key)) === "closed") yield* own.open(key)
    account.driving = false
    return
  }
  const { backend, model = "m0" } = key
  const failure = key.model === undefined ? refused : broken
  for (let i = 0; i < 5 && account.acquire(backend, model) !== undefined; i++) {
    account.record(account.open.length - 1, failure)
  }
})

const backends = ["b0", "b1"]
const models = ["m0", "m1"]

/**
 * No breaker is wedged: once every attempt is over, operators have restored everything and time has passed, each pair
 * gives a trial, and closes.
 */
const end = Effect.fnUntraced(function* <R>(account: Account, drive: Drive<R>) {
  const breaker = yield* Breaker
  while (account.open.length > 0) account.record(0, clientGone)
  for (const backend of backends) {
    breaker.restore({ backend })
    for (const model of models) breaker.restore({ backend, model })
  }
  yield* drive.elapse(360_000)
  for (const backend of backends) {
    for (const model of models) {
      assert.isDefined(account.acquire(backend, model), `${backend} ${model} is wedged`)
      account.record(0, success)
      assert.strictEqual(breaker.state(backend, model), "closed")
    }
  }
})

/** Plays a history, keeps its own account of every breaker, and compares the two. */
export const play = Effect.fnUntraced(
  function* <R>(history: ReadonlyArray<typeof Step.Type>, seen: Seen, options: Options<R>) {
    const breaker = yield* Breaker
    const drive: Drive<R> = options.drive ?? byFailures
    const trips = options.drive !== undefined ? () => false : options.trips ?? fiveInARow
    const account = new Account(breaker, seen, trips)
    for (const { backend, model, outcome, what, which } of history) {
      const key = { backend: `b${backend}`, model: `m${model}` }
      const part = which % 2 === 0 ? { backend: key.backend } : key
      if (what <= 2) account.acquire(key.backend, key.model)
      else if (what <= 5) account.record(which, outcomes[outcome]!)
      else if (what <= 7) yield* openUp(account, what === 6 ? { backend: key.backend } : key, options.drive)
      else if (what <= 9) yield* drive.elapse((which + 1) * 7000)
      else if (what === 10 && outcome < 4) {
        breaker.isolate(part)
        seen.isolated++
      } else if (what === 10) breaker.restore(part)
      else if (account.acquire(key.backend, key.model) !== undefined) {
        account.record(account.open.length - 1, outcomes[outcome]!)
      }
    }
    assert.deepStrictEqual(account.wrong, [])
    yield* end(account, drive)
    assert.deepStrictEqual(account.wrong, [])
  },
)
