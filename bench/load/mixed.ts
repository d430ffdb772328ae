/**
 * A mixed load: every target gets the same requests at the same rates, or later where it is too slow for them. It makes
 * a process old; it is not timed.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { clients } from "./mixedClients.ts"

/** One kind of client. */
export interface Kind {
  readonly name: string
  readonly perSecond: number
  /** Most at the same time. If there are as many, the next one waits. */
  readonly atOnce: number
  /** Whether it got what it asked for. */
  readonly play: () => Promise<boolean>
}

export interface MixedAsk {
  readonly port: number
  readonly seconds: number
  /** Called every second. */
  readonly observe: () => void
}

export interface Mixed {
  readonly answers: number
  readonly seconds: number
  readonly errors: number
  /** The errors of each kind of client that had some. */
  readonly faults: ReadonlyArray<string>
  /** Requests that were never sent, because earlier ones were answered so late. */
  readonly behind: number
}

const TICK_MS = 5
/** A target that cannot keep the rates gets this many times the seconds for the same requests. */
const PATIENCE = 3
const END_WITHIN_MS = 20_000

/** Requests of a kind that are due after `elapsed` of `seconds` seconds. The first is due at once. */
export const due = (perSecond: number, elapsed: number, seconds: number): number =>
  Math.min(1 + Math.floor(perSecond * elapsed), Math.ceil(perSecond * seconds))

interface Count {
  readonly kind: Kind
  started: number
  running: number
  errors: number
}

const begin = (count: Count): void => {
  count.started++
  count.running++
  count.kind.play().then((ok) => ok || count.errors++, () => count.errors++).finally(() => count.running--)
}

/** Plays kinds of clients, and waits for the last answers. */
export const playKinds = async (kinds: ReadonlyArray<Kind>, seconds: number, observe: () => void): Promise<Mixed> => {
  const counts: ReadonlyArray<Count> = kinds.map((kind) => ({ kind, started: 0, running: 0, errors: 0 }))
  const sum = (of: (count: Count) => number) => counts.reduce((total, count) => total + of(count), 0)
  const behind = () => sum(({ kind, started }) => due(kind.perSecond, seconds, seconds) - started)
  const began = performance.now()
  const now = () => (performance.now() - began) / 1000
  const beginDue = () => {
    for (const count of counts) {
      const { atOnce, perSecond } = count.kind
      while (count.started < due(perSecond, now(), seconds) && count.running < atOnce) begin(count)
    }
  }
  for (let observed = 0; now() < seconds || behind() > 0 && now() < PATIENCE * seconds;) {
    beginDue()
    for (; observed <= now(); observed++) observe()
    await sleep(TICK_MS)
  }
  // The last wait may have been long.
  beginDue()
  const lasted = now()
  const giveUp = performance.now() + END_WITHIN_MS
  while (sum(({ running }) => running) > 0 && performance.now() < giveUp) await sleep(TICK_MS)
  const failed = (count: Count) => count.errors + count.running
  const errors = sum(failed)
  const faults = counts.filter((count) => failed(count) > 0).map((count) =>
    `${failed(count)} of ${count.started} ${count.kind.name}`
  )
  return { answers: sum(({ started }) => started) - errors, seconds: lasted, errors, faults, behind: behind() }
}

export const mixed = async ({ port, seconds, observe }: MixedAsk): Promise<Mixed> => {
  const { close, kinds } = clients(port)
  try {
    return await playKinds(kinds, seconds, observe)
  } finally {
    close()
  }
}
