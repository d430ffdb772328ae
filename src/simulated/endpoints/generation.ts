/**
 * Generates an answer: waits for the runner and a slot, takes the time to read the prompt, then sends tokens at the
 * server's speed.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import type { Dialect, Summary } from "../dialects/dialect.ts"
import { type EndpointCall, refuse } from "./endpoint.ts"
import { Failure } from "../http/failure.ts"
import { decodeMillis, prefillMillis, working } from "../scheduler/gpu.ts"
import type { Runner } from "../scheduler/runner.ts"
import type { Wanted } from "../scheduler/request.ts"
import { countTokens, tokenIds, word } from "../models/language.ts"

/**
 * What to generate.
 *
 * @category models
 * @since 0.1.0
 */
export interface Generation {
  readonly wanted: Wanted
  readonly prompt: string
  /** Token ids of an earlier answer, which come before the prompt. */
  readonly context: ReadonlyArray<number>
  /** `num_predict`; `Infinity` for no limit. */
  readonly limit: number
  readonly stop: ReadonlyArray<string>
  readonly stream: boolean
  /** Whether to cut a prompt that is too long, instead of refusing it. */
  readonly truncate: boolean
  /** `format` as JSON text, if it is not a valid format. */
  readonly formatProblem: string | undefined
  readonly dialect: Dialect
}

const crashed = "an error was encountered while running the model: unexpected EOF"
const stopped =
  "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, check ollama server logs for details"

/**
 * Answers a request by generating.
 *
 * @category combinators
 * @since 0.1.0
 */
export const generate = (call: EndpointCall, generation: Generation): Effect.Effect<void, Failure> => {
  const started = call.clock.monotonicTimeNanosUnsafe()
  const run = call.scheduler.use(generation.wanted, (runner) => {
    const loaded = call.clock.monotonicTimeNanosUnsafe()
    if (generation.formatProblem !== undefined) {
      const text = JSON.stringify(JSON.stringify(generation.formatProblem)).slice(1, -1)
      return refuse(500, `invalid format: "${text}"; expected "json" or a valid JSON Schema object`)
    }
    return runner.slots.use(produce(call, generation, runner, started, loaded))
  })
  const { overhead } = call.settings
  return overhead > 0 ? Effect.andThen(Effect.sleep(overhead), run) : run
}

/** Tokens of the prompt. Fails when they are too many and must not be cut. */
const promptTokens = ({ wanted, prompt, context, truncate }: Generation): Effect.Effect<number, Failure> => {
  const { numCtx } = wanted.options
  const tokens = countTokens(wanted.model, prompt) + context.length
  if (tokens <= numCtx) return Effect.succeed(tokens)
  if (truncate && wanted.options.shift) return Effect.succeed(numCtx)
  const error = {
    code: 400,
    message: `request (${tokens} tokens) exceeds the available context size (${numCtx} tokens), try increasing it`,
    type: "exceed_context_size_error",
    n_prompt_tokens: tokens,
    n_ctx: numCtx,
  }
  return refuse(400, JSON.stringify({ error }))
}

/** How many times slower the model is because of the part that is not on a GPU. */
const slowdown = (call: EndpointCall, runner: Runner): number => {
  const { size, vram } = runner.allocation
  const spilled = call.settings.gpus.length === 0 ? 0 : 1 - vram / size
  return 1 + spilled * (call.settings.cpuSlowdown - 1)
}

const produce = (call: EndpointCall, generation: Generation, runner: Runner, started: bigint, loaded: bigint) =>
  Effect.flatMap(
    promptTokens(generation),
    (prompt) =>
      Effect.suspend(() => {
        runner.active++
        return Effect.ensuring(
          say(call, generation, runner, started, loaded, prompt),
          Effect.sync(() => runner.active--),
        )
      }),
  )

const say = Effect.fnUntraced(function* (
  call: EndpointCall,
  generation: Generation,
  runner: Runner,
  started: bigint,
  loaded: bigint,
  prompt: number,
): Effect.fn.Return<void, Failure> {
  const { clock, settings } = call
  const { gpus } = runner
  const delay = call.slotDelay()
  if (delay > 0) yield* Effect.sleep(delay)
  const reading = clock.monotonicTimeNanosUnsafe()
  yield* working(
    gpus,
    "reading",
    Effect.suspend(() => {
      const millis = prompt * prefillMillis(settings, gpus) * slowdown(call, runner)
      return millis > 0 ? Effect.sleep(Math.ceil(millis)) : Effect.void
    }),
  )
  const durations = {
    load: Number(loaded - started),
    prompt: Number(clock.monotonicTimeNanosUnsafe() - reading),
  }
  yield* working(gpus, "answering", answering(call, generation, runner, started, durations, prompt))
})

const answering = Effect.fnUntraced(function* (
  call: EndpointCall,
  generation: Generation,
  runner: Runner,
  started: bigint,
  durations: { readonly load: number; readonly prompt: number },
  prompt: number,
): Effect.fn.Return<void, Failure> {
  const { clock, reply, fault, settings } = call
  const { dialect, stream, limit, stop } = generation
  const answer = Math.min(runner.model.answer, limit)
  const slower = slowdown(call, runner)
  const saying = clock.monotonicTimeNanosUnsafe()
  let due = clock.currentTimeMillisUnsafe()
  let text = ""
  let index = 0
  let stopped = false
  for (; index < answer; index++) {
    due += decodeMillis(settings, runner.gpus) * slower
    const early = due - clock.currentTimeMillisUnsafe()
    // Sums of fractions are a little too large or too small.
    if (early > 1e-6) yield* Effect.sleep(Math.ceil(early - 1e-6))
    if (stream && reply.paused) yield* reply.resumed
    // An endless answer must let other fibers run, and must be interruptible.
    if ((index & 63) === 63) yield* Effect.yieldNow
    if (reply.closed) return
    if (runner.dead) return yield* broken(call, generation)
    if (fault !== undefined && "after" in fault && index >= (fault.after ?? Infinity)) {
      if (fault._tag === "Truncate") {
        return yield* (fault.error === undefined
          ? cut(call, generation, text, prompt)
          : broken(call, generation, fault.error))
      }
      yield* strike(call, generation, runner)
    }
    const token = word(index)
    if (stop.some((ending) => (text + token).includes(ending))) {
      stopped = true
      break
    }
    text += token
    reply.record.tokens++
    if (!stream) continue
    if (!reply.headSent) reply.begin(dialect.contentType, dialect.headers)
    for (const piece of dialect.token(token, index)) reply.write(piece)
  }
  if (stream && reply.paused) yield* reply.resumed
  const ended = clock.monotonicTimeNanosUnsafe()
  const bySelf = stopped || (index >= runner.model.answer && limit > runner.model.answer)
  finish(call, generation, {
    text,
    done: true,
    reason: bySelf ? "stop" : "length",
    promptTokens: prompt,
    tokens: bySelf ? index + 1 : index,
    total: Number(ended - started),
    ...durations,
    decode: Number(ended - saying),
    context: () => [...generation.context, ...tokenIds(runner.model, generation.prompt + text)],
  })
})

const finish = ({ reply }: EndpointCall, { dialect, stream }: Generation, summary: Summary): void => {
  if (!stream) {
    const { contentType, body } = dialect.whole(summary)
    return reply.whole(200, contentType, body)
  }
  if (!reply.headSent) reply.begin(dialect.contentType, dialect.headers)
  for (const piece of dialect.final(summary)) reply.write(piece)
  reply.finish()
}

/** Ends without a terminator and without an error. With `stream: false` the answer says that it is not done. */
const cut = (call: EndpointCall, generation: Generation, text: string, prompt: number): Effect.Effect<void> =>
  Effect.sync(() => {
    if (generation.stream) {
      if (!call.reply.headSent) call.reply.begin(generation.dialect.contentType, generation.dialect.headers)
      return call.reply.finish()
    }
    const none = { total: 0, load: 0, prompt: 0, decode: 0, tokens: 0, promptTokens: prompt }
    finish(call, generation, { ...none, text, done: false, reason: "stop", context: () => [] })
  })

/** What the client of a dead runner gets: an error if nothing was sent yet, else the dialect's last chunk. */
const broken = ({ reply }: EndpointCall, { dialect }: Generation, text?: string): Effect.Effect<void, Failure> => {
  if (!reply.headSent) return refuse(500, text ?? (reply.record.tokens === 0 ? stopped : crashed))
  return Effect.sync(() => {
    const last = dialect.broken(text ?? crashed)
    if (last !== undefined) reply.write(last)
    reply.finish()
  })
}

/** A scripted fault that happens between two tokens. */
const strike = (call: EndpointCall, generation: Generation, runner: Runner): Effect.Effect<void, Failure> => {
  switch (call.fault?._tag) {
    case "Stall":
      return Effect.never
    case "Reset":
      return Effect.andThen(Effect.sync(() => call.reply.fail("Reset", "connection reset by peer")), Effect.interrupt)
    case "Crash":
      call.scheduler.crash(runner)
      return Effect.andThen(broken(call, generation), Effect.interrupt)
    default:
      return Effect.void
  }
}
