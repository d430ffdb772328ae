/**
 * The endpoints for uploaded weights.
 *
 * @since 0.1.0
 */
import { sha256 } from "../models/model.ts"
import { type Endpoint, type EndpointCall, nothing, refuse } from "./endpoint.ts"

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
