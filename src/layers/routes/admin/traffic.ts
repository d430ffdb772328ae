/**
 * Sums over the requests that have settled, for rates and sparklines, and how long they took of late.
 *
 * @since 0.1.0
 */
import { isShed } from "../../../services/Refusal.ts"
import type { RequestSettled } from "../../../services/RouterEvents.ts"
import { Quantiles, windowSeconds } from "./quantiles.ts"
import type { LatenciesState, TrafficState } from "./trafficStates.ts"

/** @category models @since 0.1.0 */
export class Traffic {
  private readonly counted = {
    requests: 0,
    answered: 0,
    refused: 0,
    canceled: 0,
    failed: 0,
    shed: 0,
    retries: 0,
    cold: 0,
    prompt_tokens: 0,
    answer_tokens: 0,
    bytes_out: 0,
    first_bytes: 0,
  }
  private queuedMillis = 0
  private firstByteMillis = 0
  private totalMillis = 0
  private readonly routing = new Quantiles()
  private readonly queue = new Quantiles()
  private readonly firstByte = new Quantiles()

  add({ at, bytesOut, cold, routingMillis, settled, totalMillis }: RequestSettled): void {
    const { counted } = this
    const { attempts, outcome, queuedMillis, refusal, result, status } = settled
    counted.requests++
    counted[result]++
    if (result !== "canceled" && status >= 500) counted.failed++
    if (refusal !== undefined && isShed(refusal)) counted.shed++
    counted.retries += Math.max(0, attempts - 1)
    if (cold === true) counted.cold++
    counted.bytes_out += bytesOut
    this.queuedMillis += queuedMillis
    this.totalMillis += totalMillis
    if (attempts > 0) this.queue.add(queuedMillis, at)
    if (routingMillis !== undefined) this.routing.add(routingMillis, at)
    // The call of another request gave this answer: its tokens are counted there.
    if (settled.coalesced !== undefined) return
    counted.prompt_tokens += outcome?.usage?.promptTokens ?? 0
    counted.answer_tokens += outcome?.usage?.answerTokens ?? 0
    if (outcome?.firstByteMillis === undefined) return
    counted.first_bytes++
    this.firstByteMillis += outcome.firstByteMillis
    this.firstByte.add(outcome.firstByteMillis, at)
  }

  /** Of the last minute. */
  latency(now: number): LatenciesState {
    return {
      window_seconds: windowSeconds,
      routing: this.routing.read(now),
      queue: this.queue.read(now),
      first_byte: this.firstByte.read(now),
    }
  }

  sums(): TrafficState {
    const seconds = (millis: number): number => Math.round(millis) / 1000
    return {
      ...this.counted,
      queued_seconds: seconds(this.queuedMillis),
      first_byte_seconds: seconds(this.firstByteMillis),
      total_seconds: seconds(this.totalMillis),
    }
  }
}
