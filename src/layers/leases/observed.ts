/**
 * What the answers at one limit say: how long they were without work, and how many were worked on at the same time.
 *
 * @since 0.1.0
 */
import type { Outcome } from "../../services/Outcome.ts"
import { Overlap } from "./overlap.ts"

/** Milliseconds and part of an answer that must lie between its first and its last byte, so that it was streamed. */
const streamedMillis = 5
const streamedPart = 0.02
/** The part of its time in a slot for which an answer that was not streamed is known to have been worked on. */
const workedPart = 0.85
/** Answers in a row without a report of Ollama's own, after which the times of first bytes count. */
const silentMax = 32

/** Answers that are enough for any comparison, and that are too few for any. */
const answersMax = 96
const answersMin = 8
/** The error in streams, as a standard deviation, at which there are enough answers. */
const errorMax = 0.15

/**
 * The answers since the last change of the limit.
 *
 * The time without work is Ollama's report where there is one: all of its time but loading, reading and answering. Else
 * it is the time to the first byte of a stream, which holds the reading of the prompt too.
 *
 * @category models
 * @since 0.1.0
 */
export class Observed {
  private readonly overlap = new Overlap()
  private idleSum = 0
  private idleSquares = 0
  private wholeSum = 0
  /** Which of the two measures counts; `undefined` before the first answer. */
  private reports: boolean | undefined = undefined
  private silent = 0
  answers = 0

  /** Returns whether the answer says when the work on it began. */
  add({ firstByteMillis, usage }: Outcome, begun: number, at: number): boolean {
    const whole = at - begun
    const waited = usage?.slotWaitMillis
    const after = firstByteMillis === undefined ? 0 : whole - firstByteMillis
    const isStreamed = firstByteMillis !== undefined && after > Math.max(streamedMillis, streamedPart * whole)
    if (isStreamed) this.overlap.add(begun + firstByteMillis, at)
    else if (waited !== undefined) this.overlap.add(at - workedPart * (whole - waited), at)
    const idle = waited ?? (isStreamed ? firstByteMillis : undefined)
    if (idle === undefined) return false
    this.choose(waited !== undefined)
    if ((waited !== undefined) === this.reports) {
      this.idleSum += idle
      this.idleSquares += idle * idle
      this.wholeSum += whole
      this.answers++
    }
    return true
  }

  /** The two measures are never mixed. */
  private choose(isReport: boolean): void {
    this.silent = isReport ? 0 : this.silent + 1
    const reports = isReport || (this.reports === true && this.silent < silentMax)
    if (reports === this.reports) return
    this.reports = reports
    this.forget()
  }

  /** The largest number of answers that were worked on at the same time. */
  get proven(): number {
    return this.overlap.most
  }

  /** Mean milliseconds of an answer without work. */
  get idle(): number {
    return this.idleSum / this.answers
  }

  /** Mean milliseconds of a whole answer. */
  get whole(): number {
    return Math.max(1, this.wholeSum / this.answers)
  }

  /** The part of the streams that had a slot, when no answer is delayed by more than `delay` there. */
  used(delay: number): number {
    return Math.min(1, 1 - (this.idle - delay) / this.whole)
  }

  clear(): void {
    this.overlap.clear()
    this.forget()
  }

  /** Whether there are enough answers to tell whether `step` of `limit` streams have a slot. */
  isEnough(limit: number, step: number): boolean {
    if (this.answers >= answersMax) return true
    return this.isFair(limit) && this.error(limit) <= errorMax * Math.max(1, step / 2)
  }

  /** Whether long answers had the time to end too: the first ones to end are short. */
  isFair(limit: number): boolean {
    return this.answers >= Math.max(answersMin, 1.25 * limit)
  }

  /** The standard deviation of the used streams. */
  error(limit: number): number {
    const { answers, idle, whole } = this
    return Math.sqrt(Math.max(0, this.idleSquares / answers - idle * idle) / answers) * limit / whole
  }

  private forget(): void {
    this.idleSum =
      this.idleSquares =
      this.wholeSum =
      this.answers =
        0
  }
}
