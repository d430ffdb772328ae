/**
 * Identical deterministic requests in flight share one upstream call, and embedding inputs that have to queue travel together.
 *
 * @since 0.1.0
 */
import { Effect, type Exit, Fiber, Layer } from "effect"
import { Coalescer, type Lead } from "../../services/Coalescer.ts"
import type { Refusal } from "../../services/Refusal.ts"
import type { ReplySink } from "../../services/Reply.ts"
import type { Demand, RoutedRequest } from "../../services/RoutedRequest.ts"
import type { Settled } from "../../services/Router.ts"
import { Bag, type Slotted } from "../../support/bag.ts"
import { Batch } from "./batch.ts"
import { type Carrier, Flight, type Limits } from "./flight.ts"
import { identify } from "./key.ts"
import { Table } from "./table.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Which requests are answered the same every time. Defaults to embeddings, and generations with `temperature` 0 or a `seed`. */
  readonly deterministic?: ((request: RoutedRequest) => boolean) | undefined
  /** Bytes of an answer after which nobody joins it any more: the next one leads a call of its own. Defaults to 1 MiB. */
  readonly replayBytes?: number | undefined
  /** Bytes that a client may be behind the others of its flight before it is cut off. Defaults to 256 KiB. */
  readonly behindBytes?: number | undefined
  /** Embedding inputs in one upstream call; `1` for none but its own. Defaults to `64`. */
  readonly batchInputs?: number | undefined
}

/** The same for the same body, as far as Ollama itself is. @category predicates @since 0.1.0 */
export const isDeterministic = ({ endpoint, envelope }: RoutedRequest): boolean =>
  endpoint.kind === "embed" || envelope.deterministic

/** One upstream call, and the fiber that makes it. */
class Work implements Carrier, Slotted {
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

const make = Effect.fnUntraced(
  function* (options: Limits & { readonly batchInputs: number; readonly deterministic: Options["deterministic"] }) {
    const { batchInputs } = options
    const deterministic = options.deterministic ?? isDeterministic
    const fork = Effect.runForkWith(yield* Effect.context<never>())
    const working = new Bag<Work>()
    const joinable = new Table<Flight>()
    const boarding = new Table<Batch>()

    yield* Effect.addFinalizer(() =>
      Effect.suspend(() =>
        Fiber.interruptAll(working.snapshot().flatMap(({ fiber }) => fiber === undefined ? [] : [fiber]))
      )
    )

    /** In the router's scope: it goes on while anyone wants the answer. */
    const run = (
      work: Work,
      lead: Effect.Effect<Settled, Refusal>,
      then: (exit: Exit.Exit<Settled, Refusal>) => void,
    ) => {
      working.add(work)
      const fiber = fork(lead)
      work.fiber = fiber
      if (work.abandoned) fiber.interruptUnsafe()
      fiber.addObserver((exit) => {
        working.remove(work)
        then(exit)
      })
    }

    const alone = (flight: Flight): void => {
      const work = new Work(undefined)
      flight.carrier = work
      run(work, Effect.suspend(() => flight.lead(flight.demand, flight)), (exit) => flight.settle(exit, undefined))
    }

    const depart = (batch: Batch): void => {
      const work = new Work(batch)
      for (const flight of batch.flights) flight.carrier = work
      const lead = Effect.suspend(() => batch.lead(batch.demand, batch, () => batch.request()))
      run(work, lead, (exit) => {
        const [first, ...others] = batch.settle(exit)
        if (first === undefined) return
        // One of them was to blame: halves find it in few calls.
        const half = Math.floor(others.length / 2)
        depart(new Batch(batch.key, [first, ...others.slice(0, half)], () => {}, 1 + half))
        const [second, ...rest] = others.slice(half)
        if (second !== undefined) depart(new Batch(batch.key, [second, ...rest], () => {}, 1 + rest.length))
      })
    }

    const board = (flight: Flight, group: string): void => {
      const waiting = boarding.find(group)
      if (waiting?.take(flight) === true) {
        flight.carrier = waiting.flights[0]?.carrier
        return
      }
      if (waiting !== undefined) boarding.remove(waiting)
      const batch = new Batch(group, [flight], (sealed) => boarding.remove(sealed), batchInputs)
      boarding.add(batch)
      depart(batch)
    }

    const join = (request: RoutedRequest, demand: Demand, reply: ReplySink, lead: Lead) => {
      if (request.envelope.emptyPrompt || !deterministic(request)) return lead(demand, reply)
      const identity = identify(request)
      if (identity === undefined) return lead(demand, reply)
      return Effect.callback<Settled, Refusal>((resume) => {
        const known = joinable.find(identity.key)
        if (known !== undefined) {
          reply.annotate(["X-Llamero-Coalesced", "1"])
          known.improve(demand)
          const member = known.enter(reply, resume)
          return Effect.sync(() => known.leave(member))
        }
        const flight = new Flight(request, identity, demand, lead, options, (closed) => joinable.remove(closed))
        joinable.add(flight)
        const member = flight.enter(reply, resume)
        if (identity.single === undefined || batchInputs === 1) alone(flight)
        else board(flight, identity.single.group)
        return Effect.sync(() => flight.leave(member))
      })
    }

    return Coalescer.of({ join, active: () => working.size })
  },
)

const atLeast = (minimum: number, field: keyof Options, given: number | undefined, otherwise: number): number => {
  const value = given ?? otherwise
  if (!Number.isInteger(value) || value < minimum) {
    throw new RangeError(`MemoryCoalescer.layer: ${field} must be a whole number of at least ${minimum}, got ${value}`)
  }
  return value
}

/**
 * Shares answers within one process.
 *
 * **Details**
 *
 * Members of a flight have tenant, credentials, path, stream flag and body in common; how the body is spaced and in which order its top-level keys and its
 * options come does not matter. Each gets what was sent before it joined, then every byte as it comes, and may leave without the others; when the last one
 * leaves, the upstream call is aborted. Who joins is told by the header `X-Llamero-Coalesced`.
 *
 * An embedding call for one text, on `/api/embed` or `/v1/embeddings`, takes others of its kind along if it has to queue, until it is sent: one entry of the
 * queue, charged with 64 KiB. One that need not queue goes at once and alone. Vectors are passed on digit by digit. Token counts of such an answer, which
 * Ollama gives for the whole call, are shared out by the length of the texts, and the header `X-Llamero-Batch` says how many there were. An error that may be
 * the fault of one text is looked for by running the halves of the batch apart.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Coalescer> =>
  Layer.effect(
    Coalescer,
    make({
      deterministic: options?.deterministic,
      replayBytes: atLeast(0, "replayBytes", options?.replayBytes, 1024 * 1024),
      behindBytes: atLeast(0, "behindBytes", options?.behindBytes, 256 * 1024),
      batchInputs: atLeast(1, "batchInputs", options?.batchInputs, 64),
    }),
  )
