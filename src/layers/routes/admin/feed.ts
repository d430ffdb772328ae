/**
 * The state as server-sent events, for a live page. Each reader gets the difference to what it got last, when it is
 * ready for it: a slow reader gets fewer and larger changes, and holds one message.
 *
 * @since 0.1.0
 */
import { type Clock, Effect, Stream } from "effect"
import type { RouterEvent } from "../../../services/RouterEvents.ts"
import type { State } from "./states.ts"

/** @category models @since 0.1.0 */
export interface Options {
  readonly clock: Clock.Clock
  readonly state: () => State
  /** Whether the router is shutting down: then the streams end. */
  readonly draining: () => boolean
  /** Least time between two changes for one reader, in milliseconds. */
  readonly intervalMillis: number
  /** Longest silence, in milliseconds: then a comment is sent. */
  readonly heartbeatMillis: number
  /** A reader that takes nothing for so long is dropped, in milliseconds. */
  readonly stallMillis: number
  /** Most readers at the same time. */
  readonly readersMax: number
}

/** Events that wait for one reader. Older ones are dropped: it is told how many. */
const eventsMax = 100

/** The JSON of each part of a state: of each backend and device by id, and of each other field. */
type Parts = ReadonlyMap<string, string>

const partsOf = ({ backends, devices, ...rest }: State): Parts => {
  const parts = new Map<string, string>()
  for (const [name, value] of Object.entries(rest)) if (name !== "at") parts.set(name, JSON.stringify(value))
  for (const backend of backends) parts.set(`backends/${backend.id}`, JSON.stringify(backend))
  for (const device of devices) parts.set(`devices/${device.device}`, JSON.stringify(device))
  return parts
}

/** The JSON text of what is different; `undefined` where nothing is. */
const difference = (at: string, before: Parts, now: Parts): string | undefined => {
  const fields: Array<string> = []
  const lists = { backends: [] as Array<string>, devices: [] as Array<string> }
  for (const [name, text] of now) {
    if (before.get(name) === text) continue
    if (name.startsWith("backends/")) lists.backends.push(text)
    else if (name.startsWith("devices/")) lists.devices.push(text)
    else fields.push(`${JSON.stringify(name)}:${text}`)
  }
  const gone = Array.from(before.keys()).filter((name) => !now.has(name))
  for (const [name, list] of Object.entries(lists)) if (list.length > 0) fields.push(`"${name}":[${list.join(",")}]`)
  if (gone.length > 0) fields.push(`"gone":${JSON.stringify(gone)}`)
  return fields.length === 0 ? undefined : `{"at":"${at}",${fields.join(",")}}`
}

const message = (event: string, data: string): string => `event: ${event}\ndata: ${data}\n\n`

/** One client that follows the events. */
interface Reader {
  /** When it last took something, in milliseconds. */
  takenAt: number
  events: Array<RouterEvent>
  lost: number
  readonly drop: () => void
}

/** @category models @since 0.1.0 */
export class Feed {
  private readonly options: Options
  private readonly readers = new Set<Reader>()
  private last: { readonly millis: number; readonly state: State; readonly parts: Parts } | undefined

  constructor(options: Options) {
    this.options = options
  }

  /** How many clients follow. */
  get size(): number {
    return this.readers.size
  }

  /** An event of the router. Single requests are not sent: they are in the sums of `traffic`. */
  add(event: RouterEvent): void {
    if ("id" in event) return
    for (const reader of this.readers) {
      reader.events.push(event)
      if (reader.events.length <= eventsMax) continue
      reader.events.shift()
      reader.lost++
    }
  }

  /** Drops the readers that have taken nothing for too long. To be called now and then. */
  sweep(): void {
    const now = this.options.clock.currentTimeMillisUnsafe()
    for (const reader of this.readers) {
      if (now - reader.takenAt < this.options.stallMillis) continue
      this.readers.delete(reader)
      reader.drop()
    }
  }

  /** The state, read once for all readers that ask within one interval. */
  private current() {
    const millis = this.options.clock.currentTimeMillisUnsafe()
    if (this.last !== undefined && millis - this.last.millis < this.options.intervalMillis / 2) return this.last
    const state = this.options.state()
    return this.last = { millis, state, parts: partsOf(state) }
  }

  /**
   * The text for one reader; `undefined` where it is one too many. `drop` closes the connection of a client that does
   * not read.
   */
  follow(drop: () => void): Stream.Stream<string> | undefined {
    const { clock, draining, heartbeatMillis, intervalMillis, readersMax } = this.options
    if (this.readers.size >= readersMax) return undefined
    const reader: Reader = { takenAt: clock.currentTimeMillisUnsafe(), events: [], lost: 0, drop }
    this.readers.add(reader)
    let sent: Parts | undefined
    let sentAt = 0

    const due = (): string => {
      const now = clock.currentTimeMillisUnsafe()
      const { parts, state } = this.current()
      let text = ""
      if (sent === undefined) text = `retry: 2000\n${message("snapshot", JSON.stringify(state))}`
      else {
        const changes = difference(state.at, sent, parts)
        if (changes !== undefined) text = message("change", changes)
      }
      sent = parts
      if (reader.lost > 0) text += message("lost", String(reader.lost))
      for (const event of reader.events) text += message("event", JSON.stringify(event))
      reader.events = []
      reader.lost = 0
      if (text === "" && now - sentAt >= heartbeatMillis) text = ": alive\n\n"
      if (text !== "") sentAt = now
      return text
    }
    const next = (first: boolean): Effect.Effect<readonly [string, boolean] | undefined> =>
      Effect.suspend(() => {
        reader.takenAt = clock.currentTimeMillisUnsafe()
        const wait = first ? Effect.void : Effect.sleep(intervalMillis)
        return Effect.flatMap(wait, () => {
          if (draining() || !this.readers.has(reader)) return Effect.undefined
          const text = due()
          return text === "" ? next(false) : Effect.succeed([text, false] as const)
        })
      })
    return Stream.ensuring(Stream.unfold(true, next), Effect.sync(() => void this.readers.delete(reader)))
  }
}
