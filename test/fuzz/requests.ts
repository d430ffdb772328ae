/** Connections as no client would use them, with their requests, as bytes for a socket. */
import * as fc from "fast-check"
import { edited, edits, latin1, type Made, offset, place, rarely } from "./arbitraries.ts"
import * as Bodies from "./bodies.ts"

const inference = [
  "/api/chat",
  "/api/generate",
  "/api/embed",
  "/api/embeddings",
  "/v1/chat/completions",
  "/v1/completions",
  "/v1/embeddings",
  "/v1/responses",
  "/v1/messages",
  "/v1/audio/transcriptions",
  "/api/v1/generate",
]
/** Other paths, and the method that each has. */
const others = [
  ["GET", "/api/tags"],
  ["GET", "/api/ps"],
  ["GET", "/api/version"],
  ["POST", "/api/show"],
  ["GET", "/v1/models"],
  ["GET", "/v1/models/x"],
  ["POST", "/api/pull"],
  ["GET", "/healthz"],
  ["POST", "/nope"],
  ["GET", "/"],
] as const

/** Other ways to write a path. */
const spellings: ReadonlyArray<(path: string) => string> = [
  (path) => `${path}?model=nope`,
  (path) => `${path}/`,
  (path) => `/${path}`,
  (path) => `http://localhost${path}`,
  (path) => path.toUpperCase(),
  (path) => path.replace("i", "%69"),
  (path) => `${path}#x`,
  (path) => `/x/..${path}`,
  (path) => `${path}?${"q".repeat(2000)}`,
]

const oddHeaders = [
  "X-A: b",
  "Expect: 100-continue",
  "X-Request-Timeout: 5",
  "X-Request-Timeout: soon",
  "X-Request-Priority: batch",
  "X-Request-Priority: x",
  "Origin: http://localhost:3000",
  "Origin: https://evil.example",
  "Connection: content-type",
  "Authorization: Bearer x",
  `X-Long: ${"l".repeat(3000)}`,
  "X-Llamero-Heartbeat: queued",
  "Accept-Encoding: gzip",
  "TE: trailers",
  "Cookie: a=b",
]

const chunks = fc.record({
  sizes: fc.array(fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 100 }), fc.constant(1)), {
    minLength: 1,
    maxLength: 4,
    size: "max",
  }),
  extension: rarely(3, "", fc.constant(";x=y")),
  trailer: rarely(3, "", fc.constant("X-Trailer: 1\r\n")),
})

const request = fc.record({
  target: rarely(12, undefined, fc.constantFrom(...others)),
  path: fc.constantFrom(...inference),
  spelling: rarely(15, undefined, fc.constantFrom(...spellings)),
  method: rarely(20, undefined, fc.constantFrom("POST", "GET", "PUT", "DELETE", "OPTIONS", "PATCH")),
  body: Bodies.parts,
  headers: rarely(
    4,
    [],
    fc.array(fc.record({ line: fc.constantFrom(...oddHeaders), at: fc.nat({ max: 6 }) }), {
      maxLength: 2,
      size: "max",
    }),
  ),
  chunks: rarely(4, undefined, chunks),
  /** So many bytes fewer come than the head says. */
  missing: rarely(25, 0, fc.integer({ min: 1, max: 2000 })),
  damage: rarely(20, [], edits),
})

type Parts = Made<typeof request>

/** A request on a connection. */
export interface Request {
  readonly id: string
  /** Where errors must have the shape of a dialect: a `POST` to an inference path, as the path is usually written. */
  readonly path: string | undefined
  /** The body that the router must read from it; `undefined` where it may refuse it or read another one. */
  readonly plain: Buffer | undefined
  readonly hasOrigin: boolean
}

const chunked = (raw: Buffer, { extension, sizes, trailer }: NonNullable<Parts["chunks"]>): Buffer => {
  const all: Array<Buffer> = []
  for (let at = 0, i = 0; at < raw.length; i++) {
    const chunk = raw.subarray(at, at + sizes[i % sizes.length]!)
    all.push(latin1(`${chunk.length.toString(16)}${extension}\r\n`), chunk, latin1("\r\n"))
    at += chunk.length
  }
  return Buffer.concat([...all, latin1(`0\r\n${trailer}\r\n`)])
}

const rendered = (made: Parts, id: string, isLast: boolean) => {
  const [method, path] = made.target ?? ["POST", made.path]
  const { headers: described, plain, sent } = Bodies.body(path, made.body)
  const connection = isLast ? "close" : "keep-alive"
  const headers = ["Host: localhost", `X-Request-Id: ${id}`, `Connection: ${connection}`, ...described]
  for (const { at, line } of made.headers) headers.splice(at, 0, line)
  const length = `Content-Length: ${sent.length + made.missing}`
  headers.push(made.chunks === undefined ? length : "Transfer-Encoding: chunked")
  const target = made.spelling === undefined ? path : made.spelling(path)
  const head = edited(`${made.method ?? method} ${target} HTTP/1.1\r\n${headers.join("\r\n")}\r\n\r\n`, made.damage)
  const isWhole = made.damage.length === 0 && (made.missing === 0 || made.chunks !== undefined)
  const isUsual = made.target === undefined && made.spelling === undefined && (made.method ?? method) === "POST"
  const request: Request = {
    id,
    path: isWhole && isUsual ? path : undefined,
    plain: isWhole ? plain : undefined,
    hasOrigin: headers.some((line) => line.startsWith("Origin")),
  }
  const framed = made.chunks === undefined ? sent : chunked(sent, made.chunks)
  return { bytes: Buffer.concat([latin1(head), framed]), isWhole, request }
}

const connection = fc.record({
  requests: fc.oneof(
    { weight: 5, arbitrary: fc.array(request, { minLength: 1, maxLength: 1 }) },
    { weight: 1, arbitrary: fc.array(request, { maxLength: 3, size: "max" }) },
  ),
  noise: rarely(20, undefined, fc.uint8Array({ maxLength: 300, size: "max" })),
  leaves: rarely(
    5,
    undefined,
    fc.record({
      what: fc.constantFrom("answer" as const, "request" as const, "pause" as const),
      at: place,
      resets: fc.boolean(),
    }),
  ),
  pieces: fc.array(
    fc.oneof(
      fc.integer({ min: 1, max: 200_000 }),
      fc.integer({ min: 1, max: 5000 }),
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 1, max: 3 }),
    ),
    { maxLength: 5, size: "max" },
  ),
})

/** When a client goes away: after bytes of its requests, milliseconds after the last of them, or bytes of an answer. */
export interface Leaves {
  readonly what: "request" | "pause" | "answer"
  readonly after: number
  readonly resets: boolean
}

/** What a client sends on one connection, and when it goes away. */
export interface Sent {
  readonly bytes: Buffer
  readonly requests: ReadonlyArray<Request>
  /** Whether all requests are whole, so that there are answers to a client that waits for them. */
  readonly isWhole: boolean
  /** Sizes of the pieces in which the bytes are sent, over and over; empty for all at once. */
  readonly pieces: ReadonlyArray<number>
  readonly leaves: Leaves | undefined
}

/** A connection that knows its bytes when it gets the ids of its requests. */
export class Client {
  readonly made: Made<typeof connection>

  constructor(made: Client["made"]) {
    this.made = made
  }

  sent(nextId: () => string): Sent {
    const { leaves, noise, pieces, requests } = this.made
    const all = requests.map((one, i) => rendered(one, nextId(), i === requests.length - 1))
    const bytes = noise === undefined ? Buffer.concat(all.map((one) => one.bytes)) : Buffer.from(noise)
    // What follows a request that is not whole may be read as its body.
    const isWhole = noise === undefined && all.length > 0 && all.every((one) => one.isWhole)
    return {
      bytes,
      requests: noise === undefined
        ? all.map(({ request }) => isWhole ? request : { ...request, plain: undefined })
        : [],
      isWhole,
      pieces,
      leaves: leaves === undefined ? undefined : {
        what: leaves.what,
        after: offset(leaves.at, { request: bytes.length, pause: 50, answer: 1000 }[leaves.what]),
        resets: leaves.resets,
      },
    }
  }

  [fc.toStringMethod](): string {
    const { bytes, leaves, pieces } = this.sent(() => "ID")
    const text = JSON.stringify(bytes.toString("latin1"))
    const shown = text.length > 3000 ? `${text.slice(0, 3000)}… (${bytes.length} bytes)` : text
    return `\n  ${shown}${pieces.length === 0 ? "" : `\n    in pieces of ${pieces.join()}`}` +
      (leaves === undefined
        ? ""
        : `, leaves after ${leaves.after} of the ${leaves.what}${leaves.resets ? ", with a reset" : ""}`)
  }
}

/** Connections that are open at the same time. Shrinks to the fewest that fail. */
export const clients: fc.Arbitrary<ReadonlyArray<Client>> = fc.array(connection.map((made) => new Client(made)), {
  maxLength: 12,
  size: "max",
})
