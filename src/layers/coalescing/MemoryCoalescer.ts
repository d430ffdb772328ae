/**
 * Identical deterministic requests in flight share one upstream call, and embedding inputs that have to queue share one
 * as a batch.
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import { Coalescer, type Lead } from "../../services/Coalescer.ts"
import type { Refusal } from "../../services/Refusal.ts"
import type { ReplySink } from "../../services/Reply.ts"
import type { Demand, RoutedRequest } from "../../services/RoutedRequest.ts"
import type { Settled } from "../../services/Router.ts"
import { Flight, type Limits } from "./flight.ts"
import { identify } from "./key.ts"
import { Table } from "./table.ts"
import * as UpstreamCalls from "./upstreamCalls.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /**
   * Which requests get the same answer every time. Defaults to embeddings, and generations with `temperature` 0 or a
   * `seed`.
   */
  readonly deterministic?: ((request: RoutedRequest) => boolean) | undefined
  /**
   * Bytes of an answer after which no client joins it: the next identical request leads a call of its own. Defaults to
   * 1 MiB.
   */
  readonly replayBytes?: number | undefined
  /** Bytes that a client may be behind the answer of its flight before it is cut off. Defaults to 256 KiB. */
  readonly behindBytes?: number | undefined
  /** Most embedding inputs in one upstream call; `1` turns batches off. Defaults to `64`. */
  readonly batchInputs?: number | undefined
}

/**
 * Whether the same body gets the same answer, as far as Ollama is deterministic at all: embeddings, `temperature` 0, or
 * a `seed`.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isDeterministic = ({ endpoint, envelope }: RoutedRequest): boolean =>
  endpoint.kind === "embed" || envelope.deterministic

const make = Effect.fnUntraced(
  function* (options: Limits & { readonly batchInputs: number; readonly deterministic: Options["deterministic"] }) {
    const { batchInputs } = options
    const deterministic = options.deterministic ?? isDeterministic
    const calls = yield* UpstreamCalls.make(batchInputs)
    const joinable = new Table<Flight>()

    const isAlone = (request: RoutedRequest) => request.envelope.emptyPrompt || !deterministic(request)

    const join = (request: RoutedRequest, demand: Demand, reply: ReplySink, lead: Lead) => {
      if (isAlone(request)) return lead(demand, reply)
      const identity = identify(request)
      if (identity === undefined) return lead(demand, reply)
      return Effect.callback<Settled, Refusal>((resume) => {
        const known = joinable.find(identity.key)
        if (known !== undefined) {
          reply.annotate(["X-Llamero-Coalesced", "1"])
          known.improve(demand)
          const participant = known.enter(reply, resume)
          return Effect.sync(() => known.leave(participant))
        }
        const flight = new Flight(request, identity, demand, lead, options, (closed) => joinable.remove(closed))
        joinable.add(flight)
        const participant = flight.enter(reply, resume)
        if (identity.single === undefined || batchInputs === 1) calls.alone(flight)
        else calls.batched(flight, identity.single.group)
        return Effect.sync(() => flight.leave(participant))
      })
    }

    return Coalescer.of({ join: Object.assign(join, { isAlone }), active: calls.size })
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
 * The clients of a flight have tenant, credentials, path, stream flag and body in common. White space in the body, the
 * order of its top-level keys and the order of its options do not matter. Each client gets the bytes that came before
 * it joined, then every byte as it comes. A client may leave without the others; when the last one leaves, the upstream
 * call is aborted. The answer of a client that joined has the header `X-Llamero-Coalesced: 1`.
 *
 * An embedding call for one text, on `/api/embed` or `/v1/embeddings`, becomes a batch if it has to queue: until it is
 * sent, it takes in other calls that differ only in the text. A batch is one entry of the queue and is charged with
 * 64 KiB. A call that need not queue is sent at once, alone. Vectors are passed on digit by digit. Ollama counts the
 * tokens of the whole call; they are divided in proportion to the length of the texts. The header `X-Llamero-Batch`
 * says how many texts the call had. When an error may be the fault of one text, the two halves of the batch are sent
 * again, each as a call of its own, and so on until the text is found.
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
