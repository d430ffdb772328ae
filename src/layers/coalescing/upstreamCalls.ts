/**
 * The upstream calls that are under way for shared flights, each in a fiber of the router's scope.
 *
 * @since 0.1.0
 */
import { Effect, Exit, Fiber, type Scope } from "effect"
import type { Refusal } from "../../services/Refusal.ts"
import type { Demand, RoutedRequest } from "../../services/RoutedRequest.ts"
import type { Settled } from "../../services/Router.ts"
import { Bag, type Slotted } from "../../support/bag.ts"
import { Batch } from "./batch.ts"
import { BatchSizes } from "./batchSizes.ts"
import type { Carrier, Flight } from "./flight.ts"
import { Table } from "./table.ts"

/** One upstream call, and the fiber that makes it. */
class UpstreamCall implements Carrier, Slotted {
  slot = -1
  fiber: Fiber.Fiber<Settled, Refusal> | undefined = undefined
  abandoned = false
  private readonly batch: Batch | undefined

  constructor(batch: Batch | undefined) {
    this.batch = batch
  }

  empty(flight: Flight): void {
    if (this.batch?.drop(flight) === false) return
    this.abandoned = true
    this.fiber?.interruptUnsafe()
  }

  improve(demand: Demand): void {
    this.batch?.improve(demand)
  }
}

/** Starts upstream calls. All of them are interrupted when the scope closes. @internal */
export interface UpstreamCalls {
  /** Makes a call for one flight. */
  readonly alone: (flight: Flight) => void
  /** Adds a flight to the batch of its group that is not sent yet, or starts a batch with it. */
  readonly batched: (flight: Flight, group: string) => void
  /** Calls under way. */
  readonly size: () => number
}

/** At most `batchInputs` flights travel in one batch. @internal */
export const make = Effect.fnUntraced(
  function* (batchInputs: number): Effect.fn.Return<UpstreamCalls, never, Scope.Scope> {
    const fork = Effect.runForkWith(yield* Effect.context<never>())
    const calls = new Bag<UpstreamCall>()
    const open = new Table<Batch>()
    const sizes = new BatchSizes(batchInputs)

    yield* Effect.addFinalizer(() => interruptAll(calls))

    const run = (
      call: UpstreamCall,
      lead: Effect.Effect<Settled, Refusal>,
      then: (exit: Exit.Exit<Settled, Refusal>) => void,
    ) => {
      calls.add(call)
      const fiber = fork(lead)
      call.fiber = fiber
      if (call.abandoned) fiber.interruptUnsafe()
      fiber.addObserver((exit) => {
        calls.remove(call)
        then(exit)
      })
    }

    const alone = (flight: Flight): void => {
      const call = new UpstreamCall(undefined)
      flight.carrier = call
      run(call, Effect.suspend(() => flight.lead(flight.demand, flight)), (exit) => flight.settle(exit, undefined))
    }

    /** The request of a batch that has a lease. Texts that do not pay in this call wait for the next lease. */
    const request = (batch: Batch): RoutedRequest => {
      const [first, ...others] = batch.split(sizes.of(batch.demand.model.key))
      const sent = batch.request()
      if (first !== undefined) startOpen([first, ...others], batch.key)
      return sent
    }

    const start = (batch: Batch): void => {
      const call = new UpstreamCall(batch)
      for (const flight of batch.flights) flight.carrier = call
      const lead = Effect.suspend(() => batch.lead(batch.demand, batch, () => request(batch)))
      run(call, lead, (exit) => {
        const millis = Exit.isSuccess(exit) ? exit.value.outcome?.totalMillis : undefined
        if (millis !== undefined) sizes.learn(batch.demand.model.key, batch.flights.length, millis)
        for (const half of halves(batch.settle(exit))) start(new Batch(batch.key, half, () => {}, half.length))
      })
    }

    const batched = (flight: Flight, group: string): void => {
      const waiting = open.find(group)
      if (waiting?.take(flight) === true) {
        flight.carrier = waiting.flights[0]?.carrier
        return
      }
      if (waiting !== undefined) open.remove(waiting)
      startOpen([flight], group)
    }

    /** Starts a batch that takes in more flights, unless there is another one of its group that does. */
    const startOpen = (flights: readonly [Flight, ...ReadonlyArray<Flight>], group: string): void => {
      const batch = new Batch(group, flights, (sealed) => open.remove(sealed), batchInputs)
      if (open.find(group) === undefined) open.add(batch)
      start(batch)
    }

    return { alone, batched, size: () => calls.size }
  },
)

const interruptAll = (calls: Bag<UpstreamCall>): Effect.Effect<void> =>
  Effect.suspend(() => Fiber.interruptAll(calls.snapshot().flatMap(({ fiber }) => fiber === undefined ? [] : [fiber])))

/** One text was to blame for the error of a whole batch: halving the batch finds that text in few calls. */
const halves = (flights: ReadonlyArray<Flight>): ReadonlyArray<readonly [Flight, ...ReadonlyArray<Flight>]> => {
  const [first, ...others] = flights
  if (first === undefined) return []
  const middle = Math.floor(others.length / 2)
  const [second, ...rest] = others.slice(middle)
  const firstHalf = [first, ...others.slice(0, middle)] as const
  return second === undefined ? [firstHalf] : [firstHalf, [second, ...rest]]
}
