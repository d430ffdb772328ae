/**
 * How many streams of one model a backend is given at a time.
 *
 * @since 0.1.0
 */
import { isConnectFailure, type Outcome } from "../../services/Outcome.ts"
import { Observed } from "./observed.ts"

/** After an answer 429 or 503 the limit falls by half. */
const saturatedFactor = 0.5
/** Answers without a report, for each stream of the limit, before one stream more is given back. */
const answersPerStream = 4
/** Each rise that was right doubles the next one, up to this part of the limit. */
const riseMax = 0.6
/** Answers after which a limit that is surely right is raised. */
const quickMax = 12
/** The part of the added streams that must be used, so that the server is taken to have more slots. */
const usedMin = 0.65
/** The part of the expected fall of the waits that must be seen, so that a lower limit stays. */
const droppedMin = 0.65
/** Streams by which the server must look smaller than the limit before a lower limit is tried. */
const shortBy = 0.6
/** Answers between two trials. The pause doubles with each trial that changed nothing, up to the second figure. */
const pauseMin = 32
const pauseMax = 2048
/** One trial in so many is of a lower limit. */
const lowerEvery = 4

/** One attempt that has ended. All times are in milliseconds. @category models @since 0.1.0 */
export interface EndedAttempt {
  /** When it ended. */
  readonly at: number
  /** When it was sent. */
  readonly begun: number
  /** `Backend.parallelism`. */
  readonly configured: number
  /** Streams of the model when it was sent, itself included. */
  readonly streams: number
  /** `Backend.streamsMax`. */
  readonly streamsMax: number
}

/** The limit before the one that is tried now, and the mean time without work and in all of its answers. */
interface Trial {
  readonly from: number
  readonly idle: number
  readonly whole: number
}

/**
 * The limit of one model on one backend. It looks for the slots that the server has (`OLLAMA_NUM_PARALLEL`), which
 * Ollama does not tell.
 *
 * **Details**
 *
 * An answer spends a part of its time without work: it waits for a slot, and a busy GPU delays it. With one stream more
 * than slots, each answer waits as long as it takes until the next slot is free. With a stream more that has a slot,
 * the delay stays as it was. So two limits are compared, and the time without work at one is the measure for the other:
 * no constant has to be right for every model and GPU. The part of the streams that is used at a limit `L` is
 * `1 - (idle - delay) / whole`, where `delay` is the time without work where no stream waits.
 *
 * - It begins at the configured parallelism, and grows fast as long as the added streams are used.
 * - Each further change is a trial. It is taken back when the time without work does not say that it was right: a lower
 *   limit has to shorten it, a higher one must not lengthen it.
 * - Answers that were seen to be worked on at the same time prove as many slots. The limit does not fall below that.
 * - Trials are repeated, with longer pauses while they change nothing. A lost connection, as after a restart, ends the
 *   pause, and so does a fall.
 * - Only answers that were sent when the limit was reached count.
 * - Where no answer says when the work on it began, the limit rises at most to the configured value.
 *
 * @category models
 * @since 0.1.0
 */
export class ConcurrencyLimit {
  private adapted: number | undefined = undefined
  private configured = 0
  private changedAt = -Infinity
  private unreported = 0
  private growing = true
  /** Streams that the next rise adds. */
  private rise = 1
  private trial: Trial | undefined = undefined
  /** The time without work where no stream waits. */
  private delay: number | undefined = undefined
  /** Answers since the last change or trial, and how many there must be before the next trial. */
  private rest = 0
  /** Whether the last answers spoke both for and against the limit. */
  private doubted = false
  private pause = pauseMin
  private probes = 0
  private now = -Infinity
  private readonly seen = new Observed()

  limit(configured: number, streamsMax: number): number {
    return Math.min(
      this.adapted === undefined || this.configured !== configured ? configured : this.adapted,
      streamsMax,
    )
  }

  /** Takes in the outcome of an attempt. */
  settled(outcome: Outcome, attempt: EndedAttempt): void {
    const { at, begun, configured, streams, streamsMax } = attempt
    const limit = this.limit(configured, streamsMax)
    this.now = at
    if (this.configured !== configured) this.restart(configured)
    this.adapted = limit
    if (outcome.kind === "saturated") {
      // It falls once for all requests that were under way.
      if (begun >= this.changedAt) this.saturated(limit)
      return
    }
    if (outcome.kind !== "success") {
      // A server that was restarted may have other slots.
      if (isConnectFailure(outcome)) this.startGrowing(limit)
      return
    }
    if (begun < this.changedAt || streams < limit) return
    if (!this.seen.add(outcome, begun, at)) {
      if (limit < configured && ++this.unreported >= answersPerStream * limit) this.change(limit + 1)
      return
    }
    this.decide(limit, streamsMax)
  }

  private restart(configured: number): void {
    this.configured = configured
    this.trial = undefined
    this.delay = undefined
    this.startGrowing(configured)
  }

  private startGrowing(limit: number): void {
    this.growing = true
    this.rise = Math.max(1, Math.floor(riseMax * limit))
    this.pause = pauseMin
  }

  private saturated(limit: number): void {
    this.growing = false
    // The cause may pass soon, and until the next trial the limit is far below the slots.
    this.pause = pauseMin
    this.change(Math.max(1, Math.floor(limit * saturatedFactor)))
  }

  private decide(limit: number, streamsMax: number): void {
    const { seen, trial } = this
    const isProven = seen.proven >= limit
    const step = trial === undefined ? 1 : Math.abs(limit - trial.from)
    const isQuick = this.growing && isProven && seen.answers >= Math.min(2 * limit, quickMax)
    if (!isQuick && !seen.isEnough(limit, step) && !this.isFarBelow(limit)) return
    if (trial !== undefined && trial.from !== limit) return this.conclude(trial, limit, streamsMax, isProven)
    // Nothing is known of the delay: a limit that is surely right tells it.
    if (this.delay === undefined && limit > 1 && !isProven) return this.try(Math.max(1, seen.proven), limit)
    this.delay ??= seen.idle
    const slots = limit * seen.used(this.delay)
    if (slots <= limit - shortBy) {
      // The server may have changed while these answers came, so the next ones are looked at before anything is done.
      this.doubted = !this.doubted
      if (this.doubted) return this.change(limit)
      if (!isProven) return this.try(Math.min(limit - 1, Math.max(1, seen.proven, Math.round(slots))), limit)
      this.delay = seen.idle
      return seen.clear()
    }
    this.doubted = false
    if (this.growing) return this.grow(limit, streamsMax)
    this.delay += (seen.idle - this.delay) * (seen.idle < this.delay ? 0.5 : 0.2)
    this.rest += seen.answers
    if (this.rest < this.pause) return seen.clear()
    this.probe(limit, streamsMax, isProven)
  }

  /** Whether the server has clearly fewer slots than the limit, so that no more answers are needed to see it. */
  private isFarBelow(limit: number): boolean {
    const { delay, seen, trial } = this
    if (trial !== undefined || delay === undefined || !seen.isFair(limit)) return false
    return limit * seen.used(delay) + 3 * seen.error(limit) < limit - shortBy
  }

  /** Tries one stream more, and now and then one less. */
  private probe(limit: number, streamsMax: number, isProven: boolean): void {
    this.pause = Math.min(2 * this.pause, pauseMax)
    if (++this.probes % lowerEvery === 2 && limit > 1 && !isProven) this.try(limit - 1, limit)
    else if (limit < streamsMax) this.try(limit + 1, limit)
    else this.seen.clear()
  }

  private grow(limit: number, streamsMax: number): void {
    const to = Math.min(streamsMax, limit + this.rise)
    this.rise = Math.max(1, Math.min(2 * this.rise, Math.floor(riseMax * to)))
    this.growing = to > limit
    if (to > limit) this.try(to, limit)
    else this.seen.clear()
  }

  /** Whether the tried limit stays. */
  private conclude(trial: Trial, limit: number, streamsMax: number, isProven: boolean): void {
    const { from, idle, whole } = trial
    const { seen } = this
    this.trial = undefined
    if (limit > from) {
      const slots = isProven ? limit : limit * seen.used(idle)
      const used = (slots - from) / (limit - from)
      if (used >= usedMin) {
        this.delay = isProven ? seen.idle : Math.min(seen.idle, (seen.idle + idle) / 2)
        this.pause = pauseMin
      }
      if (isProven || slots > limit - shortBy) {
        if (this.growing || isProven) return this.grow(limit, streamsMax)
        return limit < streamsMax ? this.try(limit + 1, limit) : seen.clear()
      }
      this.growing = false
      this.rise = 1
      return this.change(Math.min(limit, Math.max(from, seen.proven, Math.round(slots))))
    }
    this.growing = false
    this.rise = 1
    const slots = from * (1 - (idle - seen.idle) / whole)
    if ((from - slots) / (from - limit) < droppedMin) {
      // Fewer streams did not wait less: the delay has grown by itself.
      this.delay = idle
      return this.change(from)
    }
    this.delay = Math.min(this.delay ?? Infinity, seen.idle)
    this.pause = pauseMin
    this.change(Math.max(limit, Math.min(from - 1, Math.round(slots))))
  }

  private try(to: number, from: number): void {
    const { idle, whole } = this.seen
    this.change(to)
    this.trial = { from, idle, whole }
  }

  private change(to: number): void {
    this.adapted = to
    this.changedAt = this.now
    this.unreported = this.rest = 0
    this.trial = undefined
    this.seen.clear()
  }
}
