/** How versions and Ollama's variables are read, and where the variables come from. */
import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Environments from "../../../src/command/doctor/observe/environments.ts"
import { openFiles, softLimit } from "../../../src/command/doctor/observe/openFiles.ts"
import * as Variables from "../../../src/command/doctor/ollamaVariables.ts"
import { isBelow } from "../../../src/command/doctor/ollamaVersion.ts"
import { backend } from "../../../src/services/Fleet.ts"

describe("versions", () => {
  it.each(
    [
      ["0.5.3", "0.5.4", true],
      ["0.5.4", "0.5.4", false],
      ["0.5.13", "0.5.4", false],
      ["0.10.0", "0.5.4", false],
      ["v0.5.3-rc1", "0.5.4", true],
      ["0.33.0-rc2", "0.33.0", false],
      ["1.0", "0.33.0", false],
      ["530.30.02", "531", true],
      ["531", "531", false],
      ["580.95.05", "570", false],
      ["0.0.0", "0.5.4", undefined],
      ["nightly", "0.5.4", undefined],
      ["", "0.5.4", undefined],
    ] as const,
  )("%s is below %s: %s", (version, least, below) => {
    assert.strictEqual(isBelow(version, least), below)
  })
})

describe("Ollama's variables", () => {
  it.each(
    [
      ["5m", 300_000],
      ["30", 30_000],
      ["-1", Infinity],
      ["-1m", Infinity],
      ["0", 0],
      [`"10m"`, 600_000],
      [" '1h' ", 3_600_000],
      ["1d", undefined],
      ["soon", undefined],
    ] as const,
  )("OLLAMA_KEEP_ALIVE=%s is %s ms", (text, millis) => {
    assert.strictEqual(Variables.keepAlive({ OLLAMA_KEEP_ALIVE: text }).value, millis)
  })

  it("a fit target is in MiB, and the largest of several counts", () => {
    const read = (text: string) => Variables.fitTarget({ LLAMA_ARG_FIT_TARGET: text }).value
    assert.strictEqual(read("1024"), 1024 ** 3)
    assert.strictEqual(read("512,2048"), 2 * 1024 ** 3)
    assert.isUndefined(read("2GiB"))
    assert.isUndefined(read(""))
  })
})

describe("a file of variables", () => {
  it.each([
    [
      "lines for Docker",
      "# Ollama\nOLLAMA_NUM_PARALLEL=4\nOLLAMA_KEEP_ALIVE=30m\r\nPATH=/bin\nOLLAMA_API_KEY=secret\n",
    ],
    ["a shell script", 'export OLLAMA_NUM_PARALLEL=4\n  export OLLAMA_KEEP_ALIVE="30m"\nset -e\n'],
    [
      "a unit of systemd",
      '[Service]\nExecStart=/usr/local/bin/ollama serve\nEnvironment="OLLAMA_NUM_PARALLEL=4"\n' +
      'Environment=OLLAMA_KEEP_ALIVE=30m "HOME=/a b"\n; Environment=OLLAMA_MAX_VRAM=1\n',
    ],
    ["two in one line", "Environment=\"OLLAMA_NUM_PARALLEL=4\" OLLAMA_KEEP_ALIVE='30m'\n"],
  ])("%s", (_, text) => {
    assert.deepStrictEqual(Environments.parseFile(text), { OLLAMA_NUM_PARALLEL: "4", OLLAMA_KEEP_ALIVE: "30m" })
  })
})

/** A folder with a `/proc` of our own. */
const withProc = (
  processes: Readonly<Record<string, { comm: string; command: string; env: string; network: string }>>,
  use: (root: string) => Effect.Effect<void, unknown>,
) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const root = mkdtempSync(join(tmpdir(), "doctor-proc-"))
      for (const [pid, { comm, command, env, network }] of Object.entries(processes)) {
        const folder = join(root, "proc", pid)
        mkdirSync(join(folder, "ns"), { recursive: true })
        writeFileSync(join(folder, "comm"), `${comm}\n`)
        writeFileSync(join(folder, "cmdline"), command.replaceAll(" ", "\0") + "\0")
        writeFileSync(join(folder, "environ"), env.replaceAll(" ", "\0") + "\0")
        writeFileSync(
          join(folder, "limits"),
          "Limit   Soft   Hard   Units\nMax open files            1024    4096    files\n",
        )
        symlinkSync(network, join(folder, "ns", "net"))
      }
      return root
    }),
    use,
    (root) => Effect.sync(() => rmSync(root, { recursive: true, force: true })),
  )

const self = { comm: "node", command: "node doctor", env: "A=1", network: "net:[1]" }
const serve = { comm: "ollama", command: "/usr/local/bin/ollama serve", network: "net:[1]" }

const found = (root: string, ...urls: ReadonlyArray<string>) =>
  Effect.provide(Environments.fromProcesses(urls.map((url) => backend({ url })), root), NodeFileSystem.layer)

describe("the processes of this machine", () => {
  it.effect("ollama serve is found by its port, and other programs are not", () =>
    withProc({
      self,
      "10": self,
      "11": { ...serve, env: "OLLAMA_HOST=0.0.0.0:11500 OLLAMA_NUM_PARALLEL=2 HOME=/root OLLAMA_API_KEY=secret" },
      "12": { ...serve, env: "OLLAMA_KEEP_ALIVE=1h" },
      "13": { ...serve, command: "ollama run llama3", env: "OLLAMA_MAX_VRAM=1" },
    }, (root) =>
      Effect.gen(function* () {
        assert.deepStrictEqual(
          yield* found(root, "http://127.0.0.1:11434", "http://localhost:11500", "http://gpu.example:11434"),
          [
            {
              of: "ollama",
              from: "process 11",
              backends: ["localhost:11500"],
              values: { OLLAMA_HOST: "0.0.0.0:11500", OLLAMA_NUM_PARALLEL: "2" },
            },
            { of: "ollama", from: "process 12", backends: ["127.0.0.1:11434"], values: { OLLAMA_KEEP_ALIVE: "1h" } },
          ],
        )
        assert.deepStrictEqual(yield* found(root, "http://gpu.example:11434"), [])
      })))

  it.effect("in a container its port means nothing, unless it is the only one", () =>
    withProc(
      { self, "20": { ...serve, env: "OLLAMA_NUM_PARALLEL=2", network: "net:[2]" } },
      (root) =>
        Effect.gen(function* () {
          const one = yield* found(root, "http://127.0.0.1:21434")
          assert.deepStrictEqual(one.map(({ backends }) => backends), [["127.0.0.1:21434"]])
          assert.deepStrictEqual(yield* found(root, "http://127.0.0.1:11434", "http://127.0.0.1:21434"), [])
        }),
    ))

  it.effect("no /proc is no error", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* found("/nowhere", "http://127.0.0.1:11434"), [])
      assert.isUndefined(yield* Effect.provide(openFiles("/nowhere"), NodeFileSystem.layer))
    }))
})

describe("the limit of open files", () => {
  it.effect("is the soft one", () =>
    withProc({ self }, (root) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* Effect.provide(openFiles(root), NodeFileSystem.layer), 1024)
      })))

  it("may be unlimited, or not told", () => {
    assert.strictEqual(softLimit("Max open files            unlimited            unlimited            files"), Infinity)
    assert.isUndefined(softLimit("Max processes 1 2"))
  })
})
