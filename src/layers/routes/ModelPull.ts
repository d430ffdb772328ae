/**
 * One pull of one model on one backend, and its progress, shared by all who asked for it.
 *
 * @since 0.1.0
 */
import { Deferred, Duration, Effect, Option, Schema } from "effect"
import type { Backend } from "../../services/Fleet.ts"
import { type ByteSink, type Call, type Transport, type Upstream } from "../../services/Transport.ts"
import { DecodingSink } from "../../wire/contentDecoding.ts"
import type { TaggedErrorClass } from "../../services/taggedErrorClass.ts"

const PullErrorBase: TaggedErrorClass<PullError, "PullError", {
  readonly backend: Schema.String
  readonly description: Schema.String
}> = Schema.TaggedError<PullError>()("PullError", { backend: Schema.String, description: Schema.String })

/** The error that Ollama or the connection to it reports. @category errors @since 0.1.0 */
export class PullError extends PullErrorBase {
  override get message(): string {
    return this.description
  }
}

/** The latest record of Ollama about one step. @category models @since 0.1.0 */
export interface Step {
  /** The status text of the step; each layer of a model has its own. */
  readonly key: string
  /** Bytes of a layer that are pulled; -1 where the record does not say. */
  readonly completed: number
  /** The record as it came. */
  readonly text: string
}

/**
 * The progress of a pull.
 *
 * **Details**
 *
 * Only the latest record of each step is kept. So a client that comes late, or reads slowly, still sees every step and
 * its current state, and nothing is kept for it.
 *
 * @category models
 * @since 0.1.0
 */
export class Pull {
  readonly backend: Backend
  private readonly latest: Map<string, Step> = new Map()
  private next = Deferred.makeUnsafe<void>()
  private readonly end = Deferred.makeUnsafe<void, PullError>()

  constructor(backend: Backend) {
    this.backend = backend
  }

  /** Completes at the next record, or at the end. */
  get changed(): Effect.Effect<void> {
    return Deferred.await(this.next)
  }

  /** Completes at the end. */
  get ended(): Effect.Effect<void, PullError> {
    return Deferred.await(this.end)
  }

  get isOver(): boolean {
    return Deferred.isDoneUnsafe(this.end)
  }

  /** In the order in which they began. */
  steps(): ReadonlyArray<Step> {
    return Array.from(this.latest.values())
  }

  add(step: Step): void {
    this.latest.set(step.key, step)
    this.wake()
  }

  finish(end: Effect.Effect<void, PullError>): void {
    Deferred.doneUnsafe(this.end, end)
    this.wake()
  }

  private wake(): void {
    const waiting = this.next
    this.next = Deferred.makeUnsafe()
    Deferred.doneUnsafe(waiting, Effect.void)
  }
}

const Line = Schema.Struct({
  status: Schema.optionalKey(Schema.String),
  completed: Schema.optionalKey(Schema.Number),
  error: Schema.optionalKey(Schema.String),
})
const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Line))

/** A normal record has one or two hundred bytes. */
const lineMax = 64 * 1024

const callOf = (model: string): Call => ({
  method: "POST",
  path: "/api/pull",
  headers: ["content-type", "application/json"],
  body: new TextEncoder().encode(JSON.stringify({ model, stream: true })),
})

/**
 * Makes a backend pull, and records its progress. Interruption and the time limit abort the call. Ollama keeps what it
 * has pulled, and a later pull continues from there.
 *
 * @category constructors
 * @since 0.1.0
 */
export const send = (
  transport: Transport["Service"],
  pull: Pull,
  model: string,
  limit: Duration.Duration,
): Effect.Effect<void, PullError> =>
  Effect.callback<void, PullError>((resume) => {
    const { backend } = pull
    const decoder = new TextDecoder()
    let upstream: Upstream | undefined
    let status = 0
    let rest = ""
    let done = false
    const fail = (description: string): void => {
      upstream?.abort()
      resume(Effect.fail(new PullError({ backend: backend.id, description })))
    }
    const take = (text: string): void => {
      const { completed = -1, error, status: step } = Option.getOrElse(decode(text), (): typeof Line.Type => ({}))
      if (error !== undefined) fail(error)
      else if (step === "success") done = true
      else if (step !== undefined) pull.add({ key: step, completed, text })
    }
    const sink: ByteSink = {
      open: (opened) => void (upstream = opened),
      head: (code) => void (status = code),
      data: (chunk) => {
        const lines = (rest + decoder.decode(chunk, { stream: true })).split(/[\r\n]/)
        rest = lines.pop() ?? ""
        lines.forEach(take)
        if (rest.length > lineMax) fail(`a record above ${lineMax} characters`)
      },
      end: () => {
        take(rest)
        if (done) resume(Effect.void)
        else fail(status === 200 ? "the pull ended without success" : `the backend answered ${status}`)
      },
      fail: ({ description }) => fail(description),
    }
    transport.send(backend, callOf(model), new DecodingSink(backend.id, sink))
    return Effect.sync(() => upstream?.abort())
  }).pipe(
    Effect.timeoutOrElse({
      duration: limit,
      orElse: () =>
        Effect.fail(
          new PullError({ backend: pull.backend.id, description: `not pulled within ${Duration.format(limit)}` }),
        ),
    }),
  )
