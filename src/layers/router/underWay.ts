/**
 * Lists the calls to backends that have not ended. It is asked by operators, so that requests do nothing for it.
 *
 * @since 0.1.0
 */
import type { AllUnderWay, UnderWay } from "../../services/Router.ts"
import type { Bag } from "../../support/bag.ts"
import type { Run } from "./requestState.ts"

/**
 * Whether it holds a lease. Between two attempts it has the outcome of the first, or waits again. A request that shares
 * a call has no lease of its own.
 */
const isUnderWay = ({ backend, demand, leasedAt, outcome }: Run): boolean =>
  leasedAt !== undefined && backend !== undefined && outcome === undefined && demand?.waiting === undefined

const before = (one: Run, other: Run): boolean => one.leasedAt! < other.leasedAt!

/** Puts a run in its place among the oldest ones, which are in order. */
const keep = (oldest: Array<Run>, run: Run, limit: number): void => {
  if (oldest.length < limit) oldest.push(run)
  else if (limit === 0 || !before(run, oldest[limit - 1]!)) return
  let at = oldest.length - 1
  for (; at > 0 && before(run, oldest[at - 1]!); at--) oldest[at] = oldest[at - 1]!
  oldest[at] = run
}

const shown = ({ backend, demand, firstByteAt, leasedAt, model, reply, request }: Run): UnderWay => ({
  id: request.id,
  route: request.endpoint.path,
  // The run of a shared call has only the client's spelling.
  model: demand?.model.key ?? model,
  tenant: request.tenant,
  backend: backend!,
  receivedAt: request.receivedAt,
  leasedAt: leasedAt!,
  firstByteAt,
  bytes: reply.bytes,
})

/** Reads bags of requests that have not ended, in one pass that copies none but the oldest. @internal */
export const make = (bags: ReadonlyArray<Bag<Run>>) => (limit: number): AllUnderWay => {
  const oldest: Array<Run> = []
  let count = 0
  for (const bag of bags) {
    for (const run of bag.snapshot()) {
      if (!isUnderWay(run)) continue
      count++
      keep(oldest, run, limit)
    }
  }
  return { count, oldest: oldest.map(shown) }
}
