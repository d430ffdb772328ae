/** Numbers and times for people: those of the command, and what only the page has. */
import { clock, none, seconds } from "../src/command/format.ts"

export { bytes, clock, count, device, number, seconds } from "../src/command/format.ts"

/** A time that goes on, in whole seconds: `< 1 s`, `5 s`, `2 min 5 s`. */
export const running = (value: number): string => {
  const whole = Math.max(0, Math.floor(value))
  return whole === 0 ? "< 1 s" : whole < 60 ? `${whole} s` : seconds(whole)
}

/** How long ago: `now`, `12 s ago`. Both times are ISO 8601 or milliseconds. */
export const ago = (then: string | number | null, now: number): string => {
  if (then === null) return none
  const past = (now - new Date(then).getTime()) / 1000
  if (Number.isNaN(past)) return none
  if (past < 1) return "now"
  if (past < 60) return `${Math.floor(past)} s ago`
  if (past < 3600) return `${Math.floor(past / 60)} min ago`
  return past < 172_800 ? `${Math.floor(past / 3600)} h ago` : `${Math.floor(past / 86_400)} d ago`
}

/** A moment on the reader's clock: `14:03`, and on other days than today `Mon 14:03` or `2 Mar 14:03`. */
export const moment = (at: string, now = new Date()): string => {
  const date = new Date(at)
  const time = clock(at).slice(0, 5)
  if (date.toDateString() === now.toDateString()) return time
  const isNear = Math.abs(date.getTime() - now.getTime()) < 6 * 86_400_000
  const day = date.toLocaleDateString("en-GB", isNear ? { weekday: "short" } : { day: "numeric", month: "short" })
  return `${day} ${time}`
}
