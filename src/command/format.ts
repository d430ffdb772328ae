/**
 * Numbers and times for people, in the terminal and on the status page.
 *
 * @since 0.1.0
 */

/** What is shown where nothing is known. @category rendering @since 0.1.0 */
export const none = "–"

/** Three digits at most: `7.25`, `72.5`, `725`. */
const digits = (value: number): string => value.toFixed(value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2)

const isKnown = (value: number | null | undefined): value is number =>
  value !== null && value !== undefined && !Number.isNaN(value)

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]

/** The unit in which a size has at most four digits, by its number. */
const unitOf = (value: number): number => {
  let left = Math.abs(value)
  let unit = 0
  for (; left >= 1023.5 && unit < units.length - 1; unit++) left /= 1024
  return unit
}

const inUnit = (value: number, unit: number): string => {
  const left = Math.abs(value) / 1024 ** unit
  const sign = value < 0 ? "−" : ""
  return sign + (unit === 0 ? String(Math.round(left)) : left.toFixed(left >= 99.95 ? 0 : 1))
}

/** Bytes in the unit that fits: `512 B`, `24.0 GiB`. @category rendering @since 0.1.0 */
export const bytes = (value: number | null | undefined): string => {
  if (!isKnown(value)) return none
  const unit = unitOf(value)
  return `${inUnit(value, unit)} ${units[unit]}`
}

/** Bytes of so many: `12.3/80.0 GiB`. @category rendering @since 0.1.0 */
export const bytesOf = (value: number, total: number | null | undefined): string => {
  if (!isKnown(total)) return bytes(value)
  const unit = unitOf(total)
  return `${inUnit(value, unit)}/${inUnit(total, unit)} ${units[unit]}`
}

/** Seconds: `0 ms`, `85 µs`, `240 ms`, `1.50 s`, `2 min 5 s`, `3 h 2 min`. @category rendering @since 0.1.0 */
export const seconds = (value: number | null | undefined): string => {
  if (!isKnown(value)) return none
  if (value > 0 && value < 0.0009995) return `${Math.round(value * 1e6)} µs`
  if (value < 0.9995) return `${value > 0 && value < 0.01 ? (value * 1000).toFixed(1) : Math.round(value * 1000)} ms`
  if (value < 59.95) return `${digits(value)} s`
  const whole = Math.round(value)
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  const minutes = Math.round(whole / 60)
  if (minutes < 2880) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`
}

/** A number with three digits: `0.42`, `12.3`, `1,234`. @category rendering @since 0.1.0 */
export const number = (value: number | null | undefined): string => {
  if (!isKnown(value)) return none
  if (value === 0) return "0"
  if (Number.isInteger(value) || value >= 999.5) return Math.round(value).toLocaleString("en-US")
  return digits(value)
}

/** The time between two moments in ISO 8601: `now`, `12 s`, `4 min`, `3 h`. @category rendering @since 0.1.0 */
export const between = (earlier: string | null, later: string): string => {
  if (earlier === null) return none
  const passed = (Date.parse(later) - Date.parse(earlier)) / 1000
  if (Number.isNaN(passed)) return none
  if (passed < 1) return "now"
  if (passed < 60) return `${Math.floor(passed)} s`
  if (passed < 3600) return `${Math.floor(passed / 60)} min`
  return passed < 172_800 ? `${Math.floor(passed / 3600)} h` : `${Math.floor(passed / 86_400)} d`
}

/** The time of day on the reader's clock: `14:03:27`. @category rendering @since 0.1.0 */
export const clock = (at: string | number): string => {
  const date = new Date(at)
  const two = (value: number) => String(value).padStart(2, "0")
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

/** `1 stream`, `2 streams`. @category rendering @since 0.1.0 */
export const count = (value: number, one: string, many = `${one}s`): string =>
  `${number(value)} ${value === 1 ? one : many}`

/**
 * A device by a short name: the UUID of a GPU is long, and its beginning tells it apart.
 *
 * @category rendering
 * @since 0.1.0
 */
export const device = (name: string): string => /^(GPU|MIG)-[0-9a-f-]{20,}$/i.test(name) ? name.slice(0, 12) : name

/** The first names of a list, and how many more there are. @category rendering @since 0.1.0 */
export const some = (names: ReadonlyArray<string>, most: number): string =>
  names.length <= most ? names.join(", ") : `${names.slice(0, most).join(", ")} and ${names.length - most} more`
