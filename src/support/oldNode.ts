/**
 * What Node 20 lacks and undici 8 uses. It is imported before undici. On Node 22.15 and newer, and on Deno, all of it
 * is there, and nothing is changed.
 *
 * @since 0.1.0
 */
import * as workers from "node:worker_threads"
import * as zlib from "node:zlib"

/** The module as CommonJS sees it: what is added to it, undici finds. */
const module = (namespace: object): object => "default" in namespace ? Object(namespace.default) : namespace

const add = (target: object, name: string, value: unknown): void => {
  if (!(name in target)) Object.defineProperty(target, name, { value, configurable: true, writable: true })
}

// undici takes the function's address while it loads, for answers compressed with zstd. llamero asks for none.
add(module(zlib), "createZstdDecompress", () => {
  throw new Error("zstd needs Node 22.15 or newer")
})

// It keeps objects of `fetch` from being sent to another thread.
add(module(workers), "markAsUncloneable", () => {})

add(Promise, "withResolvers", function <A>(this: PromiseConstructor) {
  let resolve: (value: A) => void = () => {}
  let reject: (reason: unknown) => void = () => {}
  const promise = new this<A>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
})
