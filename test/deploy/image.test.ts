/** The Dockerfile: what hadolint says, and what a container has to be. `npm run image:try` executes its steps. */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import { root } from "../../scripts/exports.ts"
import { instructionsOf, stages } from "../../scripts/deploy/dockerfile.ts"
import * as Settings from "../../src/layers/Settings.ts"
import { run, runtimes } from "../support/processes.ts"
import { withFiles } from "./promtool.ts"
import { Effect } from "effect"

const text = readFileSync(join(root, "Dockerfile"), "utf8")
const [build, image] = stages(text)
const one = (name: string): string => {
  const found = image!.filter((instruction) => instruction.name === name)
  assert.strictEqual(found.length, 1, name)
  return found[0]!.rest
}

const hadolint = (dockerfile: string): { readonly ok: boolean; readonly printed: string } => {
  try {
    return withFiles({ Dockerfile: dockerfile }, (folder) => ({
      ok: true,
      printed: execFileSync("hadolint", [join(folder, "Dockerfile")], { encoding: "utf8", stdio: "pipe" }),
    }))
  } catch (error) {
    const { stdout = String(error) } = error as { readonly stdout?: string }
    return { ok: false, printed: stdout }
  }
}
const absent = (() => {
  try {
    execFileSync("hadolint", ["--version"], { stdio: "ignore" })
    return undefined
  } catch {
    return "there is no hadolint here: pip install -r test/deploy/requirements.txt"
  }
})()
if (absent !== undefined) console.log(`the Dockerfile is not linted: ${absent}`)

describe.skipIf(absent !== undefined)("the Dockerfile, by hadolint", () => {
  it("is clean", () => {
    const { ok, printed } = hadolint(text)
    assert.isTrue(ok && printed === "", printed)
  })

  it("would not be, without a tag or with a command in the form of a shell", () => {
    assert.isFalse(hadolint(text.replaceAll("node:24-bookworm-slim", "node")).ok)
    assert.isFalse(hadolint(text.replace(`CMD ["serve"]`, "CMD serve")).ok)
  })
})

describe("the Dockerfile", () => {
  it("copies and runs what there is", () => {
    for (const { name, rest } of build!) {
      const files = name === "COPY" ? rest.split(" ").slice(0, -1) : /deploy\/\S+\.sh/.exec(rest) ?? []
      for (const file of files) assert.isTrue(existsSync(join(root, file)), file)
    }
    assert.deepStrictEqual(instructionsOf(text).map(({ name }) => name).filter((name) => name === "FROM").length, 2)
  })

  it("makes a container without root whose server gets the signals", () => {
    assert.match(one("USER"), /^[1-9]\d*:[1-9]\d*$/)
    assert.strictEqual(one("STOPSIGNAL"), "SIGTERM")
    assert.deepStrictEqual(JSON.parse(one("ENTRYPOINT")), ["llamero"])
    assert.deepStrictEqual(JSON.parse(one("CMD")), ["serve"])
    for (const script of ["llamero", "llamero-gpu-agent"]) {
      const lines = readFileSync(join(root, "deploy/image", script), "utf8").trimEnd().split("\n")
      assert.match(lines.at(-1)!, /^exec node /, script)
    }
  })

  it("sets settings that the router reads, and the ports of the router and the agent", () => {
    const names = one("ENV").match(/\bLLAMERO_\w+(?==)/g) ?? []
    assert.includeMembers([...names], ["LLAMERO_HOST"])
    assert.deepStrictEqual(Settings.unknownNames(names), [])
    assert.deepStrictEqual(one("EXPOSE").split(" "), [String(Settings.defaults.port), "11436"])
  })
})

/** The status of the health check beside a server that answers `/livez` with `status`. */
const health = async (status: number, env: (port: number) => Readonly<Record<string, string>>): Promise<unknown> => {
  const asked: Array<string> = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? "")
    response.writeHead(status).end()
  })
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
  try {
    const { port } = server.address() as { readonly port: number }
    const ended = await Effect.runPromise(run([...runtimes.node, "deploy/image/health.js"], env(port)))
    if (ended.status === 0) assert.deepStrictEqual(asked, ["/livez"])
    return ended.status
  } finally {
    server.close()
  }
}

describe("the health check of the image", () => {
  it("finds the server by its settings", async () => {
    assert.strictEqual(await health(200, (port) => ({ LLAMERO_PORT: `${port}` })), 0)
    assert.strictEqual(await health(200, (port) => ({ PORT: `${port}`, LLAMERO_HOST: "0.0.0.0" })), 0)
    assert.strictEqual(await health(200, (port) => ({ LLAMERO_PORT: `${port}`, LLAMERO_HOST: "127.0.0.1" })), 0)
    assert.strictEqual(await health(200, (port) => ({ LLAMERO_PORT: `${port}`, LLAMERO_HOST: "::" })), 0)
  })

  it("fails where it does not answer, or answers with an error", async () => {
    assert.strictEqual(await health(503, (port) => ({ LLAMERO_PORT: `${port}` })), 1)
    assert.strictEqual(await health(200, () => ({ LLAMERO_PORT: "1" })), 1)
    assert.strictEqual(await health(200, (port) => ({ LLAMERO_PORT: `${port}`, LLAMERO_HOST: "127.0.0.2" })), 1)
  })
})
