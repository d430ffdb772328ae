/**
 * Decodes answers that come with a `Content-Encoding`, as they come.
 *
 * llamero asks for `identity`. Some proxies compress all the same.
 *
 * @since 0.1.0
 */
import { header } from "../services/RoutedRequest.ts"
import { type ByteSink, TransportError, type Upstream } from "../services/Transport.ts"
import { type Decoder, decoderOf, load } from "./zlibDecoders.ts"

/** The encoding of an answer; `undefined` where its bytes are plain. @category headers @since 0.1.0 */
export const encodingOf = (rawHeaders: ReadonlyArray<string>): string | undefined => {
  const encoding = header(rawHeaders, "content-encoding")
  return encoding === undefined || /^\s*(?:identity)?\s*$/i.test(encoding) ? undefined : encoding
}

/** The headers of an answer whose bytes were decoded. @category headers @since 0.1.0 */
export const decodedHeaders = (rawHeaders: ReadonlyArray<string>): ReadonlyArray<string> =>
  rawHeaders.flatMap((name, i) =>
    i % 2 === 1 || /^content-(?:encoding|length)$/i.test(name) ? [] : [name, rawHeaders[i + 1] ?? ""]
  )

/** Takes decoded bytes. `fail` gets a description. @category models @since 0.1.0 */
export interface Decoded {
  readonly data: (chunk: Uint8Array) => void
  readonly end: () => void
  readonly fail: (description: string) => void
}

/**
 * Decodes one answer. It holds no more than its input and some kilobytes of output, however much that would decode to:
 * while it is paused it does not go on.
 *
 * @category models
 * @since 0.1.0
 */
export class ContentDecoder {
  private readonly to: Decoded
  private stream: Decoder | undefined = undefined
  /** What is to be done once the stream is there. */
  private readonly waiting: Array<(stream: Decoder) => void> = []
  private paused = false
  private over = false
  private used = false
  /** Chunks that are not decoded yet. */
  private left = 0
  private broken: (() => void) | undefined = undefined

  constructor(encoding: string, to: Decoded) {
    this.to = to
    load().then((zlib) => {
      if (this.over) return
      const decoder = decoderOf(zlib, encoding)
      if (decoder === undefined) this.fail(`the encoding ${JSON.stringify(encoding)} cannot be decoded`)
      else this.begin(decoder)
    })
  }

  push(chunk: Uint8Array): void {
    this.used = true
    this.left++
    this.then((stream) =>
      stream.write(chunk, () => {
        this.left--
        if (this.left === 0 && this.broken !== undefined) this.breakSoon(this.broken)
      })
    )
  }

  /** The answer has come to its end. An answer without bytes has nothing to decode. */
  end(): void {
    if (this.used) this.then((stream) => stream.end())
    else this.to.end()
  }

  /** The answer broke off: calls `broken` once everything that came before is decoded. */
  breakOff(broken: () => void): void {
    this.broken = broken
    if (this.left === 0) this.breakSoon(broken)
  }

  pause(): void {
    this.paused = true
    this.stream?.pause()
  }

  resume(): void {
    this.paused = false
    this.stream?.resume()
  }

  /** Frees what it holds. Nothing more is passed on. */
  close(): void {
    this.over = true
    this.waiting.length = 0
    this.stream?.destroy()
  }

  /** The decoded bytes of a chunk may come after the call back for that chunk. */
  private breakSoon(broken: () => void): void {
    setTimeout(() => this.over || broken(), 0)
  }

  private then(step: (stream: Decoder) => void): void {
    if (this.over) return
    if (this.stream === undefined) this.waiting.push(step)
    else step(this.stream)
  }

  private begin(stream: Decoder): void {
    this.stream = stream
    stream.on("data", (chunk: Uint8Array) => this.over || this.to.data(chunk))
    stream.on("end", () => this.over || this.to.end())
    stream.on("error", (error) => this.over || this.fail(error.message))
    if (this.paused) stream.pause()
    for (const step of this.waiting.splice(0)) step(stream)
  }

  private fail(description: string): void {
    this.close()
    this.to.fail(`the answer cannot be decoded: ${description}`)
  }
}

/**
 * A sink that decodes an answer if it is encoded, and then gives it to `to`.
 *
 * @category models
 * @since 0.1.0
 */
export class DecodingSink implements ByteSink, Upstream {
  private readonly backend: string
  private readonly to: ByteSink
  private upstream: Upstream | undefined = undefined
  private decoder: ContentDecoder | undefined = undefined

  constructor(backend: string, to: ByteSink) {
    this.backend = backend
    this.to = to
  }

  open(upstream: Upstream): void {
    this.upstream = upstream
    this.to.open(this)
  }

  head(status: number, rawHeaders: ReadonlyArray<string>): void {
    const encoding = encodingOf(rawHeaders)
    if (encoding === undefined) return this.to.head(status, rawHeaders)
    this.to.head(status, decodedHeaders(rawHeaders))
    this.decoder = new ContentDecoder(encoding, {
      data: (chunk) => this.to.data(chunk),
      end: () => this.to.end(),
      fail: (description) => {
        this.upstream?.abort()
        this.to.fail(new TransportError({ reason: "Protocol", backend: this.backend, description }))
      },
    })
  }

  data(chunk: Uint8Array): void {
    if (this.decoder === undefined) this.to.data(chunk)
    else this.decoder.push(chunk)
  }

  end(): void {
    if (this.decoder === undefined) this.to.end()
    else this.decoder.end()
  }

  fail(error: TransportError): void {
    if (this.decoder === undefined) this.to.fail(error)
    else this.decoder.breakOff(() => this.to.fail(error))
  }

  pause(): void {
    this.decoder?.pause()
    this.upstream?.pause()
  }

  resume(): void {
    this.decoder?.resume()
    this.upstream?.resume()
  }

  abort(): void {
    this.decoder?.close()
    this.upstream?.abort()
  }
}
