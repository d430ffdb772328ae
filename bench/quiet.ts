/**
 * Other programs may disturb a round. A disturbed round is repeated, a few times, and the least disturbed one counts.
 */
import { coreSeconds, cpuSeconds } from "./processes.ts"
import type { Sample } from "./scenarios.ts"
import type { Instance } from "./targets.ts"

export const DISTURBED = 0.1
const TRIES = 3

/** Measures a round, and how much of the proxy's core other programs used meanwhile. */
export const watched = async <A extends Sample>(
  scenario: { readonly unpinned?: boolean; readonly measure: (instance: Instance) => Promise<A> },
  instance: Instance,
  core: string | undefined,
): Promise<A> => {
  if (core === undefined || scenario.unpinned) return await scenario.measure(instance)
  const used = () => (coreSeconds(core) ?? NaN) - (instance.child ? cpuSeconds(instance.child.pid) ?? NaN : 0)
  const began = performance.now()
  const before = used()
  const sample = await scenario.measure(instance)
  const others = (used() - before) * 1000 / (performance.now() - began)
  return { ...sample, others: Number.isNaN(others) ? undefined : Math.max(0, others) }
}

export const quietest = async <A extends Sample>(round: () => Promise<A>, tries = TRIES): Promise<A> => {
  let best = await round()
  for (let tried = 1; tried < tries && (best.others ?? 0) > DISTURBED; tried++) {
    const again = await round()
    if ((again.others ?? 0) < best.others!) best = again
  }
  return best
}

/** A note about the rounds that stayed disturbed. */
export const disturbances = (samples: ReadonlyArray<Sample>, tries = TRIES): string | undefined => {
  const shares = samples.map(({ others }) => others ?? 0).filter((share) => share > DISTURBED)
  if (shares.length === 0) return undefined
  const percent = (share: number) => `${Math.round(share * 100)} %`
  return `disturbed: in ${shares.length} of ${samples.length} rounds other programs used over ${percent(DISTURBED)}` +
    ` of the proxy's core (up to ${percent(Math.max(...shares))})${tries > 1 ? ", although they were repeated" : ""}`
}
