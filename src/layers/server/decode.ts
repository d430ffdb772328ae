/**
 * Compressed request bodies, decoded within the limit.
 *
 * @since 0.1.0
 */
import { type Refusal, refuse } from "../../services/Refusal.ts"

type Callback = (error: (Error & { readonly code?: string }) | null, decoded: Uint8Array) => void
type Decompress = (body: Uint8Array, options: { readonly maxOutputLength: number }, done: Callback) => void

/** What each encoding is called in `node:zlib`; a runtime may lack some (zstd came with Node 22.15), or the module. */
const functions: Readonly<Record<string, string>> = {
  "gzip": "gunzip",
  "x-gzip": "gunzip",
  "deflate": "inflate",
  "br": "brotliDecompress",
  "zstd": "zstdDecompress",
}

/** Asked for when the first compressed body comes: serverless hosts may not have it. */
const zlib = (): Promise<Readonly<Record<string, unknown>>> =>
  import("node:zlib").then((module) => ({ ...module }), () => ({}))

/** @category refusals @since 0.1.0 */
export const tooLarge: Refusal = refuse("BodyTooLarge", "http: request body too large")

/** @category decoding @since 0.1.0 */
export const isPlain = (encoding: string | undefined): encoding is undefined =>
  encoding === undefined || encoding === "" || encoding.toLowerCase() === "identity"

/**
 * A body decoded, or why not: 415 for an encoding that is unknown here, 413 past the limit, 400 for a broken one.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (encoding: string, body: Uint8Array, limit: number): Promise<Uint8Array | Refusal> =>
  zlib().then((functionsHere) => {
    const name = functions[encoding.trim().toLowerCase()]
    const decompress = name === undefined ? undefined : functionsHere[name] as Decompress | undefined
    if (decompress === undefined) {
      return refuse("UnsupportedEncoding", `unsupported content encoding ${JSON.stringify(encoding)}`)
    }
    return new Promise<Uint8Array | Refusal>((resolve) =>
      decompress(body, { maxOutputLength: limit }, (error, decoded) => {
        if (error === null) resolve(decoded)
        else if (error.code === "ERR_BUFFER_TOO_LARGE") resolve(tooLarge)
        else resolve(refuse("BadRequest", `cannot decode the ${encoding} body`))
      })
    )
  })
