/**
 * Decodes compressed request bodies within a size limit.
 *
 * @since 0.1.0
 */
import { Effect, Semaphore } from "effect"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import { concat } from "../../wire/json.ts"
import { type Decoder, decoderOf, load } from "../../wire/zlibDecoders.ts"

/** Bytes of one decoded chunk. */
const chunkSize = 64 * 1024

/**
 * The base-2 logarithm of the largest window of a zstd body. The decoder allocates it as soon as it has read the head
 * of a body, which may be the only part there is. 8 MiB is Ollama's own limit.
 */
const windowLogMax = 23

/**
 * How many bodies are decoded at one time; others wait. It costs no time, since decoding waits for nobody. It bounds
 * the windows of the decoders, which nothing counts: up to 16 MiB each.
 */
const atOnce = 4

/** The refusal of a body above the limit, in the words of Go. @category refusals @since 0.1.0 */
export const tooLarge: Refusal = refuse("BodyTooLarge", "http: request body too large")

/** Whether a `Content-Encoding` means that the body is not compressed. @category decoding @since 0.1.0 */
export const isPlain = (encoding: string | undefined): encoding is undefined =>
  encoding === undefined || encoding === "" || encoding.toLowerCase() === "identity"

/** What decoding a body needs. @category models @since 0.1.0 */
export interface Options {
  /** Largest decoded body, in bytes. */
  readonly limit: number
  /** Called with the number of bytes of each decoded chunk. Returns a refusal when there may be no more. */
  readonly hold: (bytes: number) => Refusal | undefined
}

/** @category models @since 0.1.0 */
export type Decode = (encoding: string, body: Uint8Array, options: Options) => Effect.Effect<Uint8Array | Refusal>

const run = (decoder: Decoder, encoding: string, body: Uint8Array, { hold, limit }: Options) =>
  Effect.callback<Uint8Array | Refusal>((resume) => {
    const parts: Array<Uint8Array> = []
    let length = 0
    const end = (result: Uint8Array | Refusal) => {
      decoder.removeAllListeners("data")
      decoder.destroy()
      resume(Effect.succeed(result))
    }
    decoder.on("data", (chunk: Uint8Array) => {
      length += chunk.length
      const refused = length > limit ? tooLarge : hold(chunk.length)
      if (refused !== undefined) return end(refused)
      parts.push(chunk)
    })
    decoder.on("end", () => end(parts.length === 0 ? new Uint8Array(0) : concat(parts)))
    decoder.on("error", () => end(refuse("BadRequest", `cannot decode the ${encoding} body`)))
    decoder.end(body)
    return Effect.sync(() => {
      decoder.removeAllListeners("data")
      decoder.destroy()
    })
  })

/**
 * Decodes bodies, a few at a time. Refuses with 415 an encoding that this runtime cannot decode, with 413 a decoded
 * body of more than `limit` bytes, with 400 a body that is broken, and as `hold` says. Each chunk is counted as it is
 * made, so that a small body does not become a large one before anybody knows. Interruption frees everything.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): Decode => {
  const semaphore = Semaphore.makeUnsafe(atOnce)
  return (encoding, body, options) =>
    Effect.flatMap(Effect.promise(load), (zlib) =>
      Semaphore.withPermits(semaphore, 1)(Effect.suspend(() => {
        const decoder = decoderOf(zlib, encoding, { chunkSize, windowLogMax })
        return decoder === undefined
          ? Effect.succeed(refuse("UnsupportedEncoding", `unsupported content encoding ${JSON.stringify(encoding)}`))
          : run(decoder, encoding, body, options)
      })))
}
