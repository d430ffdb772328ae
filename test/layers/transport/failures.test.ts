import { assert, describe, it } from "@effect/vitest"
import { reasonOf } from "../../../src/layers/transport/failures.ts"

const coded = (code: string) => Object.assign(new Error("x"), { code })

describe("failures", () => {
  it("a lack of sockets or memory is Exhausted, with a connection or without", () => {
    for (const code of ["EMFILE", "ENFILE", "EADDRNOTAVAIL", "ENOBUFS"]) {
      assert.strictEqual(reasonOf(coded(code), false), "Exhausted")
      assert.strictEqual(reasonOf(new Error("fetch failed", { cause: coded(code) }), true), "Exhausted")
    }
  })

  it("a call that cannot be sent is Invalid", () => {
    assert.strictEqual(reasonOf(coded("UND_ERR_INVALID_ARG"), false), "Invalid")
  })

  it("a failure of the backend is not the router's", () => {
    assert.strictEqual(reasonOf(coded("ECONNREFUSED"), false), "Refused")
    assert.strictEqual(reasonOf(coded("ECONNRESET"), true), "Reset")
    assert.strictEqual(reasonOf(coded("UND_ERR_CONNECT_TIMEOUT"), false), "ConnectTimeout")
    assert.strictEqual(reasonOf(coded("HPE_INVALID_CONSTANT"), true), "Protocol")
  })
})
