import { assert, describe, it } from "@effect/vitest"
import { reasonOf } from "../../../src/layers/transport/failures.ts"

const coded = (code: string) => Object.assign(new Error("x"), { code })

describe("failures", () => {
  it("what the machine lacks is Exhausted, whether a connection was there or not", () => {
    for (const code of ["EMFILE", "ENFILE", "EADDRNOTAVAIL", "ENOBUFS"]) {
      assert.strictEqual(reasonOf(coded(code), false), "Exhausted")
      assert.strictEqual(reasonOf(new Error("fetch failed", { cause: coded(code) }), true), "Exhausted")
    }
  })

  it("what cannot be sent is Invalid", () => {
    assert.strictEqual(reasonOf(coded("UND_ERR_INVALID_ARG"), false), "Invalid")
  })

  it("what the backend did stays the backend's", () => {
    assert.strictEqual(reasonOf(coded("ECONNREFUSED"), false), "Refused")
    assert.strictEqual(reasonOf(coded("ECONNRESET"), true), "Reset")
    assert.strictEqual(reasonOf(coded("UND_ERR_CONNECT_TIMEOUT"), false), "ConnectTimeout")
    assert.strictEqual(reasonOf(coded("HPE_INVALID_CONSTANT"), true), "Protocol")
  })
})
