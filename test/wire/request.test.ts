import { assert, describe, it } from "@effect/vitest"
import { find } from "../../src/wire/endpoints.ts"
import { edgeHeaders, make } from "../../src/wire/request.ts"
import { bytes } from "../support/sinks.ts"

const made = (raw: ReadonlyArray<string>, tenantHeader?: string) =>
  make("id", find("/api/generate")!, raw, edgeHeaders(raw), bytes(`{"model":"m","prompt":"x"}`), 0, tenantHeader)

const request = (raw: ReadonlyArray<string>, tenantHeader?: string) => {
  const one = made(raw, tenantHeader)
  if ("_tag" in one) throw new Error(one.message)
  return one
}
const status = (raw: ReadonlyArray<string>, tenantHeader?: string) => {
  const one = made(raw, tenantHeader)
  return "_tag" in one ? one.status : 200
}

describe("what the edge reads of a request's headers", () => {
  it("has defaults", () => {
    const { priority, queueMillis, tenant } = request([])
    assert.deepStrictEqual([tenant, priority, queueMillis], ["default", "default", undefined])
  })

  it("takes the longest wait in seconds, or with its unit", () => {
    const millis = (text: string) => request(["x-Request-TIMEOUT", text]).queueMillis
    assert.deepStrictEqual(["30", "1.5", "500ms", "2m", "0"].map(millis), [30_000, 1500, 500, 120_000, 0])
    for (const text of ["soon", "-1", "1e3", ""]) assert.strictEqual(status(["X-Request-Timeout", text]), 400, text)
  })

  it("takes a class it knows", () => {
    assert.strictEqual(request(["X-Request-Priority", "batch"]).priority, "batch")
    assert.strictEqual(status(["X-Request-Priority", "urgent"]), 400)
  })

  it("takes the tenant from the configured header only", () => {
    const raw = ["X-Team", "blue", "X-Other", "red"]
    assert.strictEqual(request(raw).tenant, "default")
    assert.strictEqual(request(raw, "x-team").tenant, "blue")
    assert.strictEqual(request(raw, "x-none").tenant, "default")
    assert.strictEqual(request(["X-Team", ""], "x-team").tenant, "default")
    assert.strictEqual(status(["X-Team", "b".repeat(129)], "x-team"), 400)
  })
})
