/**
 * The endpoints that change the disk: pull, push, create, copy, delete, blobs.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import { goJson } from "../go/encode.ts"
import { json } from "../dialects/native.ts"
import { body, type Endpoint, type EndpointCall, notFound, refuse, required, spelledOf } from "./endpoint.ts"
import { Failure } from "../http/failure.ts"
import { alias, model as makeModel, sha256, type SimulatedModel, tinyEmbed, tinyEos } from "../models/model.ts"
import { invalidName, type ParsedName, parseName, readName } from "../models/names.ts"

const nothing = (call: EndpointCall, status: number) => Effect.sync(() => call.reply.whole(status, undefined, ""))

/**
 * Sends progress lines. A failure is a line too, because the 200 has been sent by then; without streaming it is a real
 * 500.
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
    if (stream) {
      return Effect.catchTag(work(line), "Failure", ({ text }) => Effect.sync(() => line({ error: text }))).pipe(
        Effect.andThen(Effect.sync(() => call.reply.finish())),
      )
    }
    return Effect.matchEffect(work(() => {}), {
      onFailure: ({ text }) => Effect.sync(() => call.reply.whole(500, json, goJson({ error: text }))),
      onSuccess: () => Effect.sync(() => call.reply.whole(200, json, goJson({ status: "success" }))),
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
      const found = settings.pullable.find((model) => parseName(model.name)?.key === name.key) ?? disk.find(name.full)
      if (found === undefined) return yield* refuse(500, "pull model manifest: file does not exist")
      const layer = { status: `pulling ${found.blob.slice(0, 12)}`, digest: `sha256:${found.blob}`, total: found.size }
      const time = disk.find(name.full) === undefined ? found.size / settings.pullBandwidth * 1000 : 0
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
  yield* progress(call, request["stream"] !== false, (line) => {
    line({ status: "retrieving manifest" })
    return refuse(
      500,
      call.disk.find(spelled) === undefined ? notFound(spelled) : "you are not authorized to push to this namespace",
    )
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
  if (from === undefined && files === undefined) return yield* refuse(400, "neither 'from' or 'files' was specified")
  yield* progress(
    call,
    request["stream"] !== false,
    Effect.fnUntraced(function* (line): Effect.fn.Return<void, Failure> {
      const modifiedAt = call.clock.currentTimeMillisUnsafe()
      if (typeof from === "string") {
        const base = call.disk.find(from)
        if (base === undefined) return yield* refuse(500, "pull model manifest: file does not exist")
        call.disk.put(alias(base, name.short, { ...created(request), modifiedAt }))
        line({ status: `using existing layer sha256:${base.blob}` })
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
  const model = call.disk.find(source)
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
  const name = readName(spelled)
  if ("blank" in name) {
    if (name.blank) return yield* Effect.fail(required)
    return yield* refuse(400, name.text === invalidName ? `name ${JSON.stringify(spelled)} is invalid` : name.text)
  }
  const model = call.disk.find(spelled)
  if (model === undefined) return yield* refuse(404, notFound(spelled))
  call.disk.remove(model)
  yield* nothing(call, 200)
})

/** The hex digits of the digest in the path. */
const digestOf = (call: EndpointCall): string | undefined =>
  /^sha256[:-]([0-9a-fA-F]{64})$/.exec(call.parameter)?.[1]?.toLowerCase()

/** Whether a blob was uploaded or belongs to a model. */
const holds = (call: EndpointCall, digest: string): boolean =>
  call.disk.blobs.has(digest) || call.disk.list.some((model) => model.blob === digest)

/**
 * `HEAD /api/blobs/:digest`.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const headBlobEndpoint: Endpoint = (call) => {
  const digest = digestOf(call)
  if (digest === undefined) return refuse(400, "invalid digest format")
  return holds(call, digest) ? nothing(call, 200) : refuse(404, `blob ${JSON.stringify(call.parameter)} not found`)
}

/**
 * `POST /api/blobs/:digest`.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const putBlobEndpoint: Endpoint = (call) => {
  const digest = digestOf(call)
  if (digest === undefined) return refuse(400, "invalid digest format")
  if (holds(call, digest)) return nothing(call, 200)
  const bytes = call.reply.request.body ?? new Uint8Array()
  const found = sha256(bytes)
  if (found !== digest) return refuse(400, `digest mismatch, expected "sha256:${digest}", got "sha256:${found}"`)
  call.disk.blobs.set(digest, bytes.slice())
  return nothing(call, 201)
}
