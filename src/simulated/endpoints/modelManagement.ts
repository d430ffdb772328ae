/**
 * The endpoints that change the disk: pull, push, create, copy, delete.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import { goJson } from "../go/encode.ts"
import { body, type Endpoint, type EndpointCall, notFound, nothing, refuse, required, spelledOf } from "./endpoint.ts"
import { Failure } from "../http/failure.ts"
import { alias, model as makeModel, sha256, type SimulatedModel, tinyEmbed, tinyEos } from "../models/model.ts"
import { invalidName, type ParsedName, parseName, readName } from "../models/names.ts"

/**
 * Sends progress lines. A failure after the first one is a line too, because the 200 has been sent by then. Before
 * that, and without streaming, it has a real status.
 */
const progress = (
  call: EndpointCall,
  stream: boolean,
  work: (line: (value: object) => void) => Effect.Effect<void, Failure>,
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const line = (value: object): void => {
      if (!call.reply.headSent) call.reply.begin("application/x-ndjson")
      call.reply.write(goJson(value) + "\n")
    }
    const whole = (status: number, value: object): void => call.reply.whole(status, "application/json", goJson(value))
    return Effect.match(work(stream ? line : () => {}), {
      onFailure: ({ status, text }) => {
        if (!call.reply.headSent) return whole(status, { error: text })
        line({ error: text })
        call.reply.finish()
      },
      onSuccess: () => stream ? call.reply.finish() : whole(200, { status: "success" }),
    })
  })

const named = { model: "string", name: "string", stream: "*bool", insecure: "bool" } as const

/** The name to pull. Ollama turns the source suffix of a cloud model back into its older spelling. */
const pullName = (spelled: string): Effect.Effect<ParsedName, Failure> => {
  const name = readName(spelled)
  if ("blank" in name) return refuse(400, name.blank ? invalidName : name.text)
  if (!name.cloud) return Effect.succeed(name)
  const legacy = parseName(spelled.trim())
  return legacy === undefined ? refuse(400, invalidName) : Effect.succeed(legacy)
}

/**
 * `POST /api/pull`.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const pullEndpoint: Endpoint = Effect.fnUntraced(function* (call: EndpointCall) {
  const request = yield* body(call, { name: "PullRequest", fields: named })
  const name = yield* pullName(spelledOf(request))
  const { settings, disk, clock } = call
  yield* progress(
    call,
    request["stream"] !== false,
    Effect.fnUntraced(function* (line): Effect.fn.Return<void, Failure> {
      line({ status: "pulling manifest" })
      const found = settings.pullable.find((model) => parseName(model.name)?.key === name.key) ?? disk.get(name)
      if (found === undefined) return yield* refuse(500, "pull model manifest: file does not exist")
      const layer = { status: `pulling ${found.blob.slice(0, 12)}`, digest: `sha256:${found.blob}`, total: found.size }
      const time = disk.get(name) === undefined ? found.size / settings.pullBandwidth * 1000 : 0
      // Ollama sends a progress record every 60 ms.
      const steps = Math.max(1, Math.ceil(time / 60))
      if (time > 0) line(layer)
      for (let step = 1; step <= steps; step++) {
        if (time > 0) yield* Effect.sleep(Math.ceil(time / steps))
        line({ ...layer, completed: Math.floor(found.size * step / steps) })
      }
      line({ status: "verifying sha256 digest" })
      line({ status: "writing manifest" })
      disk.put({ ...found, modifiedAt: clock.currentTimeMillisUnsafe() })
      line({ status: "success" })
    }),
  )
})

/**
 * `POST /api/push`: fails, because there is no registry.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const pushEndpoint: Endpoint = Effect.fnUntraced(function* (call: EndpointCall) {
  const request = yield* body(call, { name: "PushRequest", fields: named })
  const spelled = spelledOf(request)
  if (spelled === "") return yield* Effect.fail(required)
  const name = parseName(spelled)
  yield* progress(call, request["stream"] !== false, (line) => {
    line({ status: "retrieving manifest" })
    if (name !== undefined && call.disk.get(name) !== undefined) {
      return refuse(500, "you are not authorized to push to this namespace")
    }
    line({ status: "couldn't retrieve manifest" })
    const file = name?.full.replace(/:([^:]*)$/, "/$1") ?? spelled
    return refuse(500, `open /models/manifests/${file}: no such file or directory`)
  })
})

const created = (request: Record<string, unknown>) => ({
  ...(typeof request["template"] === "string" ? { template: request["template"] } : {}),
  ...(typeof request["system"] === "string" ? { system: request["system"] } : {}),
  ...(request["parameters"] === undefined ? {} : { parameters: request["parameters"] as Record<string, unknown> }),
})

/** A model from uploaded weights: an embedding model if they contain `bert`, else as `tinyEos`. */
const fromFiles = (call: EndpointCall, name: string, files: Record<string, unknown>): SimulatedModel | undefined => {
  const digest = String(Object.values(files)[0] ?? "").replace(/^sha256:/, "")
  const weights = call.disk.blobs.get(digest)
  if (weights === undefined) return undefined
  const start = new TextDecoder("latin1").decode(weights.subarray(0, 4096))
  const like = /general\.architecture.{0,16}bert/s.test(start) ? tinyEmbed : tinyEos
  return makeModel({ ...like, name, size: weights.length, blob: digest, digest: sha256(`manifest of ${name}`) })
}

/**
 * `POST /api/create`.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const createEndpoint: Endpoint = Effect.fnUntraced(function* (call: EndpointCall) {
  const request = yield* body(call, {
    name: "CreateRequest",
    fields: {
      ...named,
      from: "string",
      files: "map[string]interface {}",
      template: "string",
      system: "string",
      parameters: "map[string]interface {}",
      messages: "list",
      license: "any",
      quantize: "string",
    },
  })
  const name = parseName(spelledOf(request))
  if (name === undefined) return yield* refuse(400, invalidName)
  const { from, files } = request
  yield* progress(
    call,
    request["stream"] !== false,
    Effect.fnUntraced(function* (line): Effect.fn.Return<void, Failure> {
      const modifiedAt = call.clock.currentTimeMillisUnsafe()
      if (typeof from === "string") {
        const base = call.disk.find(from)
        if (base === undefined) {
          line({ status: "pulling manifest" })
          return yield* refuse(500, "pull model manifest: file does not exist")
        }
        call.disk.put(alias(base, name.short, { ...created(request), modifiedAt }))
        line({ status: `using existing layer sha256:${base.blob}` })
      } else if (files === undefined) {
        return yield* refuse(400, "neither 'from' or 'files' was specified")
      } else {
        const made = fromFiles(call, name.short, files as Record<string, unknown>)
        if (made === undefined) return yield* refuse(500, "file does not exist")
        for (const status of ["parsing GGUF", "verifying conversion", `creating new layer sha256:${made.blob}`]) {
          line({ status })
        }
        call.disk.put({ ...made, ...created(request), modifiedAt })
      }
      line({ status: "writing manifest" })
      line({ status: "success" })
    }),
  )
})

/**
 * `POST /api/copy`.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const copyEndpoint: Endpoint = Effect.fnUntraced(function* (call: EndpointCall) {
  const request = yield* body(call, { name: "CopyRequest", fields: { source: "string", destination: "string" } })
  const [source, target] = [String(request["source"] ?? ""), parseName(String(request["destination"] ?? ""))]
  if (parseName(source) === undefined) return yield* refuse(400, `source ${JSON.stringify(source)} is invalid`)
  if (target === undefined) {
    return yield* refuse(400, `destination ${JSON.stringify(request["destination"] ?? "")} is invalid`)
  }
  const model = call.disk.get(parseName(source)!)
  if (model === undefined) return yield* refuse(404, `model ${JSON.stringify(source)} not found`)
  // A copy has the same manifest under another name.
  call.disk.put({ ...model, name: target.short, modifiedAt: call.clock.currentTimeMillisUnsafe() })
  yield* nothing(call, 200)
})

/**
 * `DELETE /api/delete`. A loaded model stays in memory.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const deleteEndpoint: Endpoint = Effect.fnUntraced(function* (call: EndpointCall) {
  const request = yield* body(call, { name: "DeleteRequest", fields: named })
  const spelled = spelledOf(request)
  if (spelled.trim() === "") return yield* Effect.fail(required)
  const name = yield* Effect.mapError(
    pullName(spelled),
    (failure) =>
      failure.text === invalidName
        ? new Failure({ status: 400, text: `name ${JSON.stringify(spelled)} is invalid` })
        : failure,
  )
  const model = call.disk.get(name)
  if (model === undefined) return yield* refuse(404, notFound(spelled))
  call.disk.remove(model)
  yield* nothing(call, 200)
})
