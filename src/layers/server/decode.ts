/**
 * Decodes compressed request bodies within a size limit.
 *
 * @since 0.1.0
 */
import { type Refusal, refuse } from "../../services/Refusal.ts"

type Callback = (error: (Error & { readonly code?: string }) | null, decoded: Uint8Array) => void
type Decompress = (body: Uint8Array, options: { readonly maxOutputLength: number }, done: Callback) => void

/** The function of `node:zlib` for each encoding. A runtime may lack one (zstd came with Node 22.15) or the module. */
const functions: Readonly<Record<string, string>> = {
  "gzip": "gunzip",
  "x-gzip": "gunzip",
  "deflate": "inflate",
  "br": "brotliDecompress",
  "zstd": "zstdDecompress",
}

/** Imported when the first compressed body comes, since serverless hosts may not have the module. */
const zlib = (): Promise<Readonly<Record<string, unknown>>> =>
  import("node:zlib").then((module) => ({ ...module }), () => ({}))

/** The refusal of a body above the limit, in the words of Go. @category refusals @since 0.1.0 */
export const tooLarge: Refusal = refuse("BodyTooLarge", "http: request body too large")

/** Whether a `Content-Encoding` means that the body is not compressed. @category decoding @since 0.1.0 */
export const isPlain = (encoding: string | undefined): encoding is undefined =>
  encoding === undefined || encoding === "" || encoding.toLowerCase() === "identity"

/**
 * Decodes a body. Refuses with 415 an encoding that this runtime cannot decode, with 413 a decoded body of more than
 * `limit` bytes, and with 400 a body that is broken.
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
