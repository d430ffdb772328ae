/**
 * Memory that is being released: when it counts as free again.
 *
 * @since 0.1.0
 */
import type { ChargedAllocation } from "./chargedAllocation.ts"
import type { DeviceAccount } from "./deviceAccount.ts"

/** The part of a release that a reading has to show as free. Ollama uses the same value (`server/sched.go`). */
const releasedPart = 0.75

type Accounts = ReadonlyMap<string, DeviceAccount>

/** Begins a release. @category mutations @since 0.1.0 */
export const begin = (allocation: ChargedAllocation, accounts: Accounts, now: number, seq: number): void => {
  allocation.releasingAt = now
  allocation.releasingSeq = seq
  for (const device of allocation.seen) {
    const free = accounts.get(device)?.free
    if (free !== undefined) allocation.freeBefore.set(device, free)
  }
  // The next reading may already show its memory as free, so it must not count as included.
  allocation.residentSeq = Infinity
}

/** Whether the memory is free, or the time limit has passed. */
const released = (allocation: ChargedAllocation, accounts: Accounts, now: number, timeout: number): boolean => {
  if (now - allocation.releasingAt >= timeout) return true
  return allocation.freeBefore.size > 0 && allocation.parts.every(({ bytes, device }) => {
    const account = accounts.get(device)
    const before = allocation.freeBefore.get(device)
    return account?.free !== undefined && before !== undefined && account.readSeq > allocation.releasingSeq &&
      account.free - before >= releasedPart * bytes
  })
}

/** Ends the releases whose memory is free. @category mutations @since 0.1.0 */
export const finish = (held: Iterable<ChargedAllocation>, accounts: Accounts, now: number, timeout: number): void => {
  for (const allocation of Array.from(held)) {
    if (allocation.current !== "releasing" || !released(allocation, accounts, now, timeout)) continue
    const [only, ...others] = allocation.parts
    const account = only === undefined ? undefined : accounts.get(only.device)
    // No reading since the release: its observed memory is then taken as free. Not with several devices, because it
    // is not known how much of it was on which device.
    const unread = account !== undefined && others.length === 0 && account.readSeq < allocation.releasingSeq
    if (unread && allocation.freeBefore.has(account.uuid)) {
      account.assumeFree(Math.min(allocation.bytes, allocation.observed))
    }
    allocation.move("gone")
  }
}
