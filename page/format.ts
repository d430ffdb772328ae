/** Numbers and times for people. Every text has a steady width where it changes often. */

const none = "–"

/** Three digits at most: `7.25`, `72.5`, `725`. */
const digits = (value: number): string => value.toFixed(value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2)

/** Bytes in the unit that fits: `512 B`, `24.0 GiB`. */
export const bytes = (value: number | null | undefined): string => {
  if (value === null || value === undefined || Number.isNaN(value)) return none
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
  const sign = value < 0 ? "−" : ""
  let left = Math.abs(value)
  let unit = 0
  while (left >= 1023.5 && unit < units.length - 1) {
    left /= 1024
    unit++
  }
  return `${sign}${unit === 0 ? String(Math.round(left)) : left.toFixed(left >= 99.95 ? 0 : 1)} ${units[unit]}`
}

/** Seconds: `0 ms`, `85 µs`, `240 ms`, `1.50 s`, `2 min 5 s`, `3 h 2 min`. */
export const seconds = (value: number | null | undefined): string => {
  if (value === null || value === undefined || Number.isNaN(value)) return none
  if (value > 0 && value < 0.0009995) return `${Math.round(value * 1e6)} µs`
  if (value < 0.9995) return `${value > 0 && value < 0.01 ? (value * 1000).toFixed(1) : Math.round(value * 1000)} ms`
  if (value < 59.95) return `${digits(value)} s`
  const whole = Math.round(value)
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  const minutes = Math.round(whole / 60)
  if (minutes < 2880) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`
}

/** A time that goes on, in whole seconds: `< 1 s`, `5 s`, `2 min 5 s`. */
export const running = (value: number): string => {
  const whole = Math.max(0, Math.floor(value))
  return whole === 0 ? "< 1 s" : whole < 60 ? `${whole} s` : seconds(whole)
}

/** A number with three digits: `0.42`, `12.3`, `1,234`. */
export const number = (value: number | null | undefined): string => {
  if (value === null || value === undefined || Number.isNaN(value)) return none
  if (value === 0) return "0"
  if (Number.isInteger(value) || value >= 999.5) return Math.round(value).toLocaleString("en-US")
  return digits(value)
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

/** The time of day on the reader's clock: `14:03:27`. */
export const clock = (at: string): string => {
  const date = new Date(at)
  const two = (value: number) => String(value).padStart(2, "0")
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
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

/** `1 stream`, `2 streams`. */
export const count = (value: number, one: string, many = `${one}s`): string =>
  `${number(value)} ${value === 1 ? one : many}`

/** A device by a short name: the UUID of a GPU is long, and its beginning tells it apart. */
export const device = (name: string): string => /^(GPU|MIG)-[0-9a-f-]{20,}$/i.test(name) ? name.slice(0, 12) : name
