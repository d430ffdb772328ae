import { assert, describe, it } from "@effect/vitest"
import { find } from "../../src/wire/endpoints.ts"
import { make, readHeaders } from "../../src/wire/request.ts"
import { bytes } from "../support/sinks.ts"

const made = (raw: ReadonlyArray<string>, tenantHeader?: string) =>
  make("id", find("/api/generate")!, raw, readHeaders(raw), bytes(`{"model":"m","prompt":"x"}`), 0, tenantHeader)

const request = (raw: ReadonlyArray<string>, tenantHeader?: string) => {
  const one = made(raw, tenantHeader)
  if ("_tag" in one) throw new Error(one.message)
  return one
}
const status = (raw: ReadonlyArray<string>, tenantHeader?: string) => {
  const one = made(raw, tenantHeader)
  return "_tag" in one ? one.status : 200
}

describe("the headers of a request", () => {
  it("have defaults", () => {
    const { priority, queueMillis, tenant } = request([])
    assert.deepStrictEqual([tenant, priority, queueMillis], ["default", "default", undefined])
  })

  it("give the longest wait in a queue, in seconds or with a unit", () => {
    const millis = (text: string) => request(["x-Request-TIMEOUT", text]).queueMillis
    assert.deepStrictEqual(["30", "1.5", "500ms", "2m", "0"].map(millis), [30_000, 1500, 500, 120_000, 0])
    for (const text of ["soon", "-1", "1e3", ""]) assert.strictEqual(status(["X-Request-Timeout", text]), 400, text)
  })

  it("give one of the priority classes", () => {
    assert.strictEqual(request(["X-Request-Priority", "batch"]).priority, "batch")
    assert.strictEqual(status(["X-Request-Priority", "urgent"]), 400)
  })

  it("give the tenant only in the configured header", () => {
    const raw = ["X-Team", "blue", "X-Other", "red"]
    assert.strictEqual(request(raw).tenant, "default")
    assert.strictEqual(request(raw, "x-team").tenant, "blue")
    assert.strictEqual(request(raw, "x-none").tenant, "default")
    assert.strictEqual(request(["X-Team", ""], "x-team").tenant, "default")
    assert.strictEqual(status(["X-Team", "b".repeat(129)], "x-team"), 400)
  })
})
