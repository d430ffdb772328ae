/**
 * A mixed load at fixed rates: every target gets the same requests in the same order, however fast it is. It makes a
 * process old; it is not timed.
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
  /** Requests that were due, but had to wait for earlier ones until the end. */
  readonly behind: number
}

const TICK_MS = 5
const END_WITHIN_MS = 20_000

/** Requests of a kind that are due after `elapsed` milliseconds. The first is due at once. */
export const due = (perSecond: number, elapsed: number): number => 1 + Math.floor(perSecond * elapsed / 1000)

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
  const began = performance.now()
  let observed = 0
  let last = 0
  for (let elapsed = 0; elapsed < seconds * 1000; elapsed = performance.now() - began) {
    last = elapsed
    for (const count of counts) {
      const { atOnce, perSecond } = count.kind
      while (count.started < due(perSecond, elapsed) && count.running < atOnce) begin(count)
    }
    for (; observed <= elapsed / 1000; observed++) observe()
    await sleep(TICK_MS)
  }
  const lasted = performance.now() - began
  const giveUp = performance.now() + END_WITHIN_MS
  while (sum(({ running }) => running) > 0 && performance.now() < giveUp) await sleep(TICK_MS)
  const unanswered = sum(({ running }) => running)
  const errors = sum((count) => count.errors) + unanswered
  return {
    answers: sum(({ started }) => started) - errors,
    seconds: lasted,
    errors,
    behind: sum(({ kind, started }) => due(kind.perSecond, last) - started),
  }
}

export const mixed = async ({ port, seconds, observe }: MixedAsk): Promise<Mixed> => {
  const { close, kinds } = clients(port)
  try {
    return await playKinds(kinds, seconds, observe)
  } finally {
    close()
  }
}
