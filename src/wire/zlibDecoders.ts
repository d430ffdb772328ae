/**
 * The decoders of `node:zlib` by the names of content encodings.
 *
 * @since 0.1.0
 */
import type * as Zlib from "node:zlib"

/** A decoder of `node:zlib`. @category models @since 0.1.0 */
export type Decoder = Zlib.Gunzip

/** What this runtime has of `node:zlib`: it may lack zstd, which came with Node 22.15. @category models @since 0.1.0 */
export type Available = Partial<typeof Zlib>

/** @category models @since 0.1.0 */
export interface Options {
  /** Bytes of one decoded chunk. Defaults to that of `node:zlib`. */
  readonly chunkSize?: number
  /** The base-2 logarithm of the largest window of a zstd body. Defaults to that of `node:zlib`. */
  readonly windowLogMax?: number
}

const decoders: Readonly<Record<string, (zlib: Available, options: Options) => Decoder | undefined>> = {
  "gzip": (zlib, { chunkSize }) => zlib.createGunzip?.({ chunkSize }),
  "x-gzip": (zlib, { chunkSize }) => zlib.createGunzip?.({ chunkSize }),
  "deflate": (zlib, { chunkSize }) => zlib.createInflate?.({ chunkSize }),
  "br": (zlib, { chunkSize }) => zlib.createBrotliDecompress?.({ chunkSize }),
  "zstd": (zlib, { chunkSize, windowLogMax }) =>
    zlib.createZstdDecompress?.({
      chunkSize,
      ...(windowLogMax === undefined ? {} : { params: { [zlib.constants!.ZSTD_d_windowLogMax]: windowLogMax } }),
    }),
}

/**
 * Imports `node:zlib`. Call it when the first compressed body comes, since serverless hosts may not have the module.
 *
 * @category decoding
 * @since 0.1.0
 */
export const load = (): Promise<Available> => import("node:zlib").then((module): Available => module, () => ({}))

/** A decoder; `undefined` for an encoding that this runtime cannot decode. @category decoding @since 0.1.0 */
export const decoderOf = (zlib: Available, encoding: string, options: Options = {}): Decoder | undefined => {
  const name = encoding.trim().toLowerCase()
  return Object.hasOwn(decoders, name) ? decoders[name]!(zlib, options) : undefined
}
