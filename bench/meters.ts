/** What a proxy uses during a load. */
import type { Answered, ClosedLoop, ClosedLoopAsk } from "./load/closedLoop.ts"
import { cpuSeconds, rssMiB } from "./processes.ts"
import type { Sample, Scenario } from "./scenario.ts"
import { spread } from "./statistics.ts"
import type { Instance } from "./targets.ts"

export interface Meter {
  readonly cpu: number | undefined
  readonly rss: number | undefined
}

/** What a proxy has used so far. All fields are `undefined` for the upstream itself and where there is no /proc. */
export const meter = ({ child }: Instance): Meter => ({
  cpu: child && cpuSeconds(child.pid),
  rss: child && rssMiB(child.pid),
})

export const costs = (
  before: Meter,
  after: Meter,
  { answers, seconds }: { readonly answers: number; readonly seconds: number },
) => {
  const used = before.cpu === undefined || after.cpu === undefined ? undefined : after.cpu - before.cpu
  return {
    rate: answers / seconds,
    cpu: used === undefined || answers === 0 ? undefined : used * 1e6 / answers,
    core: used === undefined ? undefined : used / seconds,
    rss: after.rss,
  }
}

/** Runs a load and measures what it cost the proxy. */
export const metered = async (instance: Instance, load: () => Promise<Answered>): Promise<Sample> => {
  const before = meter(instance)
  const { answers, errors, seconds, ...latencies } = await load()
  const used = costs(before, meter(instance), { answers, seconds })
  // A round without an answer has no latencies, and it is no success.
  return answers === 0 ? { ...used, errors: Math.max(1, errors) } : { ...used, ...latencies, errors }
}

/** The RSS in the middle of a load. */
export const middleRss = (readings: ReadonlyArray<Meter>): number | undefined =>
  spread(readings.map(({ rss }) => rss).filter((rss) => rss !== undefined))?.median

/** A load whose connections send the next request as soon as they have an answer. */
export const closed = (
  closedLoop: ClosedLoop,
  { warmSeconds, ...ask }: Omit<ClosedLoopAsk, "port"> & { readonly warmSeconds: number },
): Pick<Scenario, "warm" | "measure"> => ({
  warm: ({ port }) => closedLoop({ ...ask, port, seconds: warmSeconds }),
  measure: (instance) => metered(instance, () => closedLoop({ ...ask, port: instance.port })),
})
