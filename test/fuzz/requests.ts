/** Requests as no client would send them, as bytes for a socket. The same seed gives the same bytes. */
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib"
import type { Random } from "../wire/support.ts"

/** How the client behaves. `leaves` is the number of bytes after which it goes away. */
export interface Case {
  readonly bytes: Buffer
  /** Whether the request is whole, so that there must be an answer. */
  readonly isWhole: boolean
  readonly leaves: number | undefined
}

const paths = [
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
const others = [
  "/api/show",
  "/api/tags",
  "/api/ps",
  "/api/version",
  "/v1/models",
  "/v1/models/x",
  "/api/pull",
  "/nope",
  "/",
]

const latin1 = (text: string): Buffer => Buffer.from(text, "latin1")
const nasty = [
  "\0",
  "\r",
  "\n",
  "\r\n",
  "\r\n\r\n",
  " ",
  "\t",
  '"',
  "\\",
  "{",
  "}",
  "[",
  "]",
  ":",
  ",",
  "\xff",
  "\xef\xbb\xbf",
  "--b",
  "=",
  ";",
  "%00",
  "null",
  "1e999",
]

/** Changes a few characters. */
const garbled = (text: string, rng: Random, times = 1 + rng.below(3)): string => {
  for (let i = 0; i < times; i++) {
    const at = rng.below(text.length + 1)
    const end = at + (rng.below(3) === 0 ? rng.below(6) : 0)
    text = text.slice(0, at) + (rng.below(4) === 0 ? "" : rng.pick(nasty)) + text.slice(end)
  }
  return text
}

const models = [
  "llama3.1:8b",
  "llama3.1:8b",
  "LLAMA3.1:8B",
  "mistral:7b",
  "nope",
  "",
  "a b",
  "llama3.1:8b\\u0000",
  "../x",
  "x:cloud",
  "\xff",
]
const keys = ["model", "model", "model", "Model", "mo\\u0064el", "MODEL", "name"]

const value = (rng: Random): string =>
  rng.pick([
    `"hi"`,
    `""`,
    `null`,
    `true`,
    `0`,
    `-1`,
    `1e999`,
    `[]`,
    `{}`,
    `["a","b"]`,
    `[{"role":"user","content":"hi"}]`,
    `{"num_ctx":4096}`,
    `{"num_ctx":"x"}`,
    `{"NUM_CTX":1}`,
    `"0"`,
    `"5m"`,
    `"x"`,
    `[1,2]`,
    `{"temperature":0,"seed":1}`,
    `"\\ud800"`,
    `"${"y".repeat(rng.below(3000))}"`,
  ])

const json = (path: string, rng: Random): string => {
  const main = path.includes("embed") || path.endsWith("responses")
    ? `"input":"hi"`
    : path.includes("chat") || path.endsWith("messages")
    ? `"messages":[{"role":"user","content":"hi"}]`
    : `"prompt":"hi"`
  const members = [`"${rng.pick(keys)}":"${rng.pick(models)}"`, main, `"max_tokens":3`, `"options":{"num_predict":3}`]
  if (rng.below(2) === 0) members.push(`"stream":${rng.pick(["true", "false", "null", "1"])}`)
  for (let i = rng.below(3); i > 0; i--) {
    members.splice(
      rng.below(members.length + 1),
      0,
      `"${
        rng.pick([
          "model",
          "Model",
          "options",
          "keep_alive",
          "stream",
          "system",
          "tools",
          "format",
          "x",
          "shift",
          "input",
        ])
      }":${value(rng)}`,
    )
  }
  return `{${members.join(rng.pick([",", ", ", ",\n"]))}}${rng.pick(["", "", "\n", " trailing", `{"model":"nope"}`])}`
}

const dispositions = [
  `form-data; name="model"`,
  `form-data; name=model`,
  `form-data; name*=utf-8''model`,
  `form-data; name*0="mo"; name*1="del"`,
  `form-data; name="x; name=model"`,
  `form-data; name="file"; filename="a.wav"`,
  `form-data; name="model"; filename="x"`,
  `form-data;\r\n name="model"`,
  `attachment; name="model"`,
  `form-data; name="prompt"`,
  `form-data; name="stream"`,
]

const form = (rng: Random): string => {
  let made = rng.pick(["", "", "pre\r\n", "pre\n"])
  for (let i = 1 + rng.below(4); i > 0; i--) {
    const more = rng.below(5) === 0 ? "Content-Transfer-Encoding: quoted-printable\r\n" : ""
    const data = rng.pick(["llama3.1:8b", "mistral:7b", "nope", "=6eope", "RIFF\r\n--bX", ""])
    made += `--b\r\nContent-Disposition: ${rng.pick(dispositions)}\r\n${more}\r\n${data}\r\n`
  }
  return made + rng.pick(["--b--\r\n", "--b--", "--b", ""])
}

const compress = {
  gzip: gzipSync,
  "x-gzip": gzipSync,
  deflate: deflateSync,
  br: brotliCompressSync,
  zstd: zstdCompressSync,
}

/** The body, and the headers that say what it is. */
const body = (path: string, rng: Random): readonly [Buffer, ReadonlyArray<string>] => {
  const isForm = path.includes("audio") ? rng.below(8) > 0 : rng.below(20) === 0
  let text = isForm ? form(rng) : json(path, rng)
  if (rng.below(3) === 0) text = garbled(text, rng)
  if (rng.below(40) === 0) text = " ".repeat(40_000 + rng.below(60_000)) + text
  let raw = latin1(text)
  const headers = [
    isForm
      ? `Content-Type: ${
        rng.pick([
          "multipart/form-data; boundary=b",
          `multipart/form-data; boundary="b"`,
          "multipart/form-data; boundary*=utf-8''b",
          "multipart/form-data",
        ])
      }`
      : rng.pick(["Content-Type: application/json", "Content-Type: text/plain", "X-None: 1"]),
  ]
  if (rng.below(5) === 0) {
    const encoding = rng.pick(Object.keys(compress) as Array<keyof typeof compress>)
    // A bomb: some hundreds of bytes that are a megabyte.
    raw = compress[encoding](rng.below(6) === 0 ? Buffer.alloc(1_000_000, "{") : raw)
    headers.push(`Content-Encoding: ${encoding}`)
    if (rng.below(5) === 0) raw = raw.subarray(0, rng.below(raw.length + 1))
    if (rng.below(8) === 0) headers.push(`Content-Encoding: ${rng.pick(["gzip", "identity", "zstd"])}`)
  } else if (rng.below(15) === 0) {
    headers.push(`Content-Encoding: ${rng.pick(["gzip", "lzma", "identity", "gzip, gzip"])}`)
  }
  return [raw, headers]
}

const chunked = (raw: Buffer, rng: Random): Buffer => {
  const parts: Array<Buffer> = []
  for (let at = 0; at < raw.length;) {
    const size = 1 + rng.below(rng.pick([4, 100, 5000]))
    const chunk = raw.subarray(at, at + size)
    parts.push(latin1(`${chunk.length.toString(16)}${rng.below(6) === 0 ? ";x=y" : ""}\r\n`), chunk, latin1("\r\n"))
    at += size
  }
  parts.push(latin1(rng.pick(["0\r\n\r\n", "0\r\nX-Trailer: 1\r\n\r\n"])))
  return Buffer.concat(parts)
}

const target = (rng: Random): readonly [string, string] => {
  const path = rng.below(8) === 0 ? rng.pick(others) : rng.pick(paths)
  const sent = rng.below(10) === 0
    ? rng.pick([
      `${path}?model=nope`,
      `${path}/`,
      `/${path}`,
      `http://localhost${path}`,
      path.toUpperCase(),
      path.replace("i", "%69"),
      `${path}#x`,
      `/x/..${path}`,
      `${path}?${"q".repeat(2000)}`,
    ])
    : path
  return [path, sent]
}

const oddHeaders = [
  "Expect: 100-continue",
  "X-Request-Timeout: 5",
  "X-Request-Timeout: soon",
  "X-Request-Priority: batch",
  "X-Request-Priority: x",
  "Origin: http://localhost:3000",
  "Origin: https://evil.example",
  "Connection: keep-alive",
  "Connection: content-type",
  "Authorization: Bearer x",
  `X-Long: ${"l".repeat(3000)}`,
  "X-Llamero-Heartbeat: queued",
  "Accept-Encoding: gzip",
  "TE: trailers",
  "Cookie: a=b",
]

/** One request. Its id is in the header `X-Request-Id`. */
export const request = (rng: Random, id: string): Case => {
  const [path, sent] = target(rng)
  const method = rng.below(15) === 0 ? rng.pick(["GET", "PUT", "DELETE", "OPTIONS", "PATCH"]) : "POST"
  const [raw, about] = body(path, rng)
  const headers = ["Host: localhost", `X-Request-Id: ${id}`, "Connection: close", ...about]
  for (let i = rng.below(3); i > 0; i--) headers.splice(rng.below(headers.length + 1), 0, rng.pick(oddHeaders))
  const isChunked = rng.below(4) === 0
  let isWhole = true
  if (isChunked) headers.push("Transfer-Encoding: chunked")
  else if (rng.below(25) === 0) {
    headers.push(`Content-Length: ${raw.length + 1 + rng.below(2000)}`)
    isWhole = false
  } else headers.push(`Content-Length: ${raw.length}`)
  let head = `${method} ${sent} HTTP/1.1\r\n${headers.join("\r\n")}\r\n\r\n`
  if (rng.below(15) === 0) {
    head = garbled(head, rng)
    isWhole = false
  }
  const bytes = Buffer.concat([latin1(head), isChunked ? chunked(raw, rng) : raw])
  const leaves = rng.below(6) === 0 ? rng.below(bytes.length + 1) : undefined
  return { bytes, isWhole: isWhole && leaves === undefined, leaves }
}

/** Bytes that are no request at all. */
export const noise = (rng: Random): Case => ({
  bytes: Buffer.from(Array.from({ length: rng.below(300) }, () => rng.below(256))),
  isWhole: false,
  leaves: undefined,
})
