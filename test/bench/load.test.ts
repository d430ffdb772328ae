/** The loads of the benchmark do what they say, and count what fails. */
import { assert, describe, it } from "@effect/vitest"
import { createServer, type Server } from "node:http"
import process from "node:process"
import { addressOf, idleConnections, tooMany } from "../../bench/load/idleConnections.ts"
import { due, type Kind, playKinds } from "../../bench/load/mixed.ts"
import { parse } from "../../bench/options.ts"
import { argumentsOf } from "../../bench/scripts.ts"

describe("a mixed load", () => {
  it("has the first request at once and the others evenly, and no more than planned", () => {
    assert.strictEqual(due(4, 0, 10), 1)
    assert.strictEqual(due(4, 0.24, 10), 1)
    assert.strictEqual(due(4, 0.25, 10), 2)
    assert.strictEqual(due(4, 9.99, 10), 40)
    assert.strictEqual(due(4, 10, 10), 40)
    assert.strictEqual(due(4, 100, 10), 40)
    assert.strictEqual(due(0.1, 5, 10), 1)
  })

  it("sends all requests of all kinds, and counts those that fail", async () => {
    const kind = (name: string, perSecond: number, play: Kind["play"]): Kind => ({
      name,
      perSecond,
      atOnce: 1000,
      play,
    })
    const kinds = [
      kind("answered", 500, () => Promise.resolve(true)),
      kind("refused", 200, () => Promise.resolve(false)),
      kind("unreachable", 100, () => Promise.reject(new Error("no connection"))),
    ]
    const { answers, behind, errors, faults } = await playKinds(kinds, 0.1, () => {})
    assert.deepStrictEqual({ answers, behind, errors }, { answers: 50, behind: 0, errors: 30 })
    assert.deepStrictEqual(faults, ["20 of 20 refused", "10 of 10 unreachable"])
  })

  it("says how many requests were never sent to a target that is too slow", async () => {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    let observed = 0
    const observe = () => {
      observed++
      setTimeout(() => resolve(true), 200)
    }
    const slow: Kind = { name: "slow", perSecond: 100, atOnce: 3, play: () => promise }
    const { answers, behind } = await playKinds([slow], 0.05, observe)
    assert.deepStrictEqual({ answers, behind }, { answers: 3, behind: 2 })
    assert.isAtLeast(observed, 1)
  })
})

const served = async (options: { readonly keepsOpen: boolean }, use: (port: number) => Promise<void>) => {
  const sources = new Set<string>()
  const server: Server = createServer((request, reply) => {
    sources.add(request.socket.remoteAddress!)
    request.resume().on("end", () => reply.end("{}", () => options.keepsOpen || request.socket.destroy()))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  try {
    await use(typeof address === "object" && address !== null ? address.port : 0)
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return sources
}

const idlers = (port: number) => idleConnections({ port, body: "{}", connections: 250, seconds: 0, observe: () => {} })

describe("idle connections", () => {
  it("count those that serve at the end", async () => {
    const sources = await served({ keepsOpen: true }, async (port) => assert.strictEqual(await idlers(port), 250))
    assert.strictEqual(sources.size, process.platform === "linux" ? 8 : 1)
  })

  it("do not count those that the server closed meanwhile", async () => {
    await served({ keepsOpen: false }, async (port) => assert.strictEqual(await idlers(port), 0))
  })

  it("come from one address where the others do not exist", () => {
    assert.strictEqual(addressOf(3, "darwin"), "127.0.0.1")
    assert.strictEqual(addressOf(0, "linux"), "127.0.0.2")
    assert.strictEqual(addressOf(7, "linux"), "127.0.0.9")
    assert.strictEqual(addressOf(8, "linux"), "127.0.0.2")
  })

  it("say how many files must be allowed", () => {
    assert.isUndefined(tooMany(10_000, Infinity))
    assert.isUndefined(tooMany(10_000, 20_000))
    assert.include(tooMany(10_000, 1024), "ulimit -n")
  })
})

describe("the options of the benchmark", () => {
  it("are five rounds and a minute of aging, or a rough run", () => {
    const { ageSeconds, rounds, seconds, tries } = parse([], [])
    assert.deepStrictEqual({ ageSeconds, rounds, seconds, tries }, { ageSeconds: 60, rounds: 5, seconds: 5, tries: 3 })
    assert.strictEqual(parse(["--quick"], []).rounds, 2)
    assert.strictEqual(parse(["--quick", "--age-seconds", "3600"], []).ageSeconds, 3600)
    assert.deepStrictEqual(parse(["--only", "aged,deno"], []).only, ["aged", "deno"])
  })

  it.each([["--age-seconds", "0"], ["--age-seconds", "1.5"], ["--rounds", "1"], ["--only", "old"]])(
    "%s %s is refused",
    (name, value) => assert.throws(() => parse([name, value], []), name),
  )
})

describe("the command of a script", () => {
  it("is what comes after the program, up to the next command", () => {
    const start = "exec node --max-semi-space-size=16 scripts/start.js || node scripts/start.js"
    assert.deepStrictEqual(argumentsOf(start, "node"), ["--max-semi-space-size=16", "scripts/start.js"])
    assert.deepStrictEqual(argumentsOf("node src/command/serve/server.ts", "node"), ["src/command/serve/server.ts"])
    assert.deepStrictEqual(
      argumentsOf("./node_modules/.bin/deno run -A src/command/serve/server.ts", "deno"),
      ["run", "-A", "src/command/serve/server.ts"],
    )
    assert.isUndefined(argumentsOf("tsx node.ts", "node"))
  })
})
