import { assert, describe, it } from "@effect/vitest"
import { forwardHeaders, returnHeaders } from "../../src/wire/headers.ts"

describe("headers", () => {
  it("of one hop, and those that Connection names, are not passed on", () => {
    const sent = forwardHeaders([
      ...["Host", "a", "Connection", "keep-alive, X-Hop", "X-Hop", "1", "TE", "trailers", "Content-Length", "3"],
      ...["Origin", "http://localhost", "Access-Control-Request-Method", "POST", "accept-ENCODING", "gzip"],
      ...[
        "Content-Encoding",
        "zstd",
        "X-Request-Id",
        "theirs",
        "X-Forwarded-For",
        "1.2.3.4",
        "Authorization",
        "Bearer x",
      ],
    ], "r1")
    assert.deepStrictEqual(sent, ["X-Forwarded-For", "1.2.3.4", "Accept-Encoding", "identity", "X-Request-Id", "r1"])
    assert.deepStrictEqual(
      returnHeaders([
        ...["Content-Type", "a/b", "Transfer-Encoding", "chunked", "Connection", "close", "Keep-Alive", "timeout=5"],
        ...["Access-Control-Allow-Origin", "*", "Date", "now", "Content-Length", "5"],
      ]),
      ["Content-Type", "a/b", "Date", "now", "Content-Length", "5"],
    )
  })
})

describe("credentials of a client", () => {
  const given = ["AUTHORIZATION", "Bearer x", "Cookie", "a=b", "X-Api-Key", "k", "api-key", "k", "Accept", "*/*"]

  it("are not passed on", () => {
    const sent = forwardHeaders(given, "r1")
    assert.deepStrictEqual(sent, ["Accept", "*/*", "Accept-Encoding", "identity", "X-Request-Id", "r1"])
  })

  it("are passed on where the deployer trusts the backends", () => {
    const sent = forwardHeaders(given, "r1", true)
    assert.deepStrictEqual(sent, [...given, "Accept-Encoding", "identity", "X-Request-Id", "r1"])
  })
})
