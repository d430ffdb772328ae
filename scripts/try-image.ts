/**
 * Executes the steps of the Dockerfile without Docker, and runs what they make as the image would: `npm run image:try`.
 *
 * The folder `/opt` of the image is a temporary folder, which a mount namespace puts there. The server runs as the user
 * of the image, without capabilities, and nothing in its file system can be written to. All other files are those of
 * this machine. It needs Linux and root.
 */
import { Effect } from "effect"
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import process from "node:process"
import * as SimulatedOllamaServer from "../src/simulated/SimulatedOllamaServer.ts"
import { environmentOf, type Instruction, stages } from "./deploy/dockerfile.ts"

const root = join(import.meta.dirname, "..")
const text = (file: string): string => readFileSync(join(root, file), "utf8")

/** Why it cannot be tried here. */
const absent = (): string | undefined => {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "it needs Linux and root"
  try {
    execFileSync("unshare", ["--mount", "setpriv", "--reuid=65532", "true"], { stdio: "pipe" })
    return undefined
  } catch (error) {
    return `no namespace of mounts: ${error instanceof Error ? error.message.split("\n").join(" ") : error}`
  }
}

/** How this machine reaches npm's registry: proxies, and authorities that it trusts. */
const reach = Object.fromEntries(
  Object.entries(process.env).filter(([name]) =>
    /^(npm_config_(registry|cafile)|(https?|no)_proxy|NODE_EXTRA_CA_CERTS|SSL_CERT_\w+)$/i.test(name)
  ),
)

const check = (holds: boolean, what: string): void => {
  if (!holds) throw new Error(`not so: ${what}`)
  console.log(`ok: ${what}`)
}

/** The folder that is `/opt` of the image. Node is in it, since that of this machine may be older. */
const stage = mkdtempSync(join(tmpdir(), "llamero-image-"))
const opt = join(stage, "opt")
const path = `/opt/node/bin:/usr/local/bin:/usr/bin:/bin`
const inImage = (file: string): string => {
  if (!file.startsWith("/opt/")) throw new Error(`the image has nothing outside of /opt, but ${file}`)
  return join(stage, file)
}

/** Files of the build context: those that git has or would take, without those in `.dockerignore`. */
const context = (): ReadonlyArray<string> => {
  const patterns = text(".dockerignore").split("\n").filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const glob = line.replace(/^\*\*\//, "").replaceAll(".", "\\.").replaceAll("*", "[^/]*")
      return new RegExp(`${line.startsWith("**/") ? "(?:^|/)" : "^"}${glob}(?:/|$)`)
    })
  const listed = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "-z"], { cwd: root, encoding: "utf8" })
  return listed.split("\0").filter((file) => file !== "" && !patterns.some((pattern) => pattern.test(file)))
}

const copy = (file: string, to: string): void => {
  mkdirSync(dirname(to), { recursive: true })
  cpSync(join(root, file), to, { recursive: true, verbatimSymlinks: true })
}

/** Executes a stage in which files are copied and commands run. */
const build = (instructions: ReadonlyArray<Instruction>): void => {
  let workdir = "/opt"
  const steps: Readonly<Record<string, (rest: string) => void>> = {
    FROM: () => {},
    WORKDIR: (folder) => mkdirSync(inImage(workdir = folder), { recursive: true }),
    COPY: (rest) => {
      const words = rest.split(" ")
      const files = words[0] === "." ? context() : words.slice(0, -1)
      for (const file of files) copy(file, join(inImage(workdir), file))
    },
    RUN: (command) => {
      console.log(`> ${command}`)
      const mounted = `mount --bind "$0" /opt && cd "$1" && exec sh -c "$2"`
      execFileSync("unshare", ["--mount", "sh", "-c", mounted, opt, workdir, command], {
        env: { ...reach, PATH: path, HOME: process.env["HOME"] ?? "/root" },
        stdio: ["ignore", "ignore", "inherit"],
      })
    },
  }
  for (const { name, rest } of instructions) {
    const step = steps[name]
    if (step === undefined) throw new Error(`the build has a step that cannot be executed here: ${name}`)
    step(rest)
  }
}

/** Nothing can be written: `/` and `/opt` are read-only, and the folders for temporary files are empty. */
const sealed = `
set -e
mount --make-rprivate /
mount --bind "$0" /opt
mount -o remount,ro,bind /opt
for folder in /tmp /var/tmp /dev/shm /run; do mount -t tmpfs -o ro tmpfs $folder; done
mount -o remount,ro,bind /
for file in /x /opt/x /opt/llamero/build/compiled/x /tmp/x; do if (: > $file) 2> /dev/null; then exit 99; fi; done
cd "$1"
shift
exec "$@"
`

interface Image {
  readonly user: string
  readonly workdir: string
  readonly env: Readonly<Record<string, string>>
}

/** Starts a command as a container would. */
const start = ({ env, user, workdir }: Image, command: ReadonlyArray<string>, more: Image["env"]): ChildProcess => {
  const [uid = "", gid = ""] = user.split(":")
  const rights = ["--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
  const variables = Object.entries({ ...env, ...more }).map(([name, value]) => `${name}=${value}`)
  return spawn("unshare", [
    ...["--mount", "sh", "-c", sealed, opt, workdir],
    ...["setpriv", `--reuid=${uid}`, `--regid=${gid}`, ...rights, "env", "-i", ...variables, ...command],
  ], { stdio: ["ignore", "pipe", "inherit"] })
}

const ended = async (child: ChildProcess): Promise<number | string> => {
  const [status, signal] = child.exitCode === null && child.signalCode === null
    ? await once(child, "exit")
    : [child.exitCode, child.signalCode]
  return status ?? signal
}

/** Waits until something is true, for at most 20 seconds. */
const until = async (what: string, holds: () => boolean | Promise<boolean>): Promise<void> => {
  for (let tries = 0; tries < 400; tries++) {
    if (await holds()) return
    await new Promise((done) => setTimeout(done, 50))
  }
  throw new Error(`not within 20 seconds: ${what}`)
}

/** Whoever runs in the image has no rights. */
const checkRights = (pid: number, { user }: Image): void => {
  const status = readFileSync(`/proc/${pid}/status`, "utf8")
  const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1] ?? ""
  const [uid = ""] = user.split(":")
  check(field("Uid").split("\t").every((one) => one === uid), `it runs as user ${uid}`)
  check(["CapEff", "CapPrm", "CapBnd"].every((set) => /^0+$/.test(field(set))), "it has no capability")
  check(field("NoNewPrivs") === "1", "it can get no more rights")
}

/** The router of the image serves, is healthy, and drains. */
const tryRouter = async (
  image: Image,
  command: ReadonlyArray<string>,
  health: ReadonlyArray<string>,
  ollama: string,
) => {
  const port = 20_000 + Math.floor(Math.random() * 10_000)
  const settings = { LLAMERO_BACKENDS: ollama, LLAMERO_PORT: String(port) }
  const url = `http://127.0.0.1:${port}`
  const server = start(image, command, settings)
  try {
    let printed = ""
    server.stdout!.on("data", (chunk) => printed += chunk)
    await until("the server listens", () => {
      if (server.exitCode !== null) throw new Error(`the server ended with ${server.exitCode}: ${printed}`)
      return printed.includes("listening on")
    })
    checkRights(server.pid!, image)
    await until("the server is ready", () => fetch(`${url}/readyz`).then(({ status }) => status === 200))
    check(await ended(start(image, health, settings)) === 0, "the health check passes")

    const body = JSON.stringify({ model: "tiny-eos", messages: [{ role: "user", content: "hi" }] })
    const response = await fetch(`${url}/api/chat`, { method: "POST", body })
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    let answer = (await reader.read()).value ?? ""
    server.kill("SIGTERM")
    await until("it drains", () => fetch(`${url}/livez`).then(() => false, () => true))
    for (let part = await reader.read(); !part.done; part = await reader.read()) answer += part.value
    check(answer.trimEnd().split("\n").at(-1)!.includes(`"done":true`), "after SIGTERM the stream comes to its end")
    check(await ended(server) === 0, "then it ends with status 0")
    check(await ended(start(image, health, settings)) === 1, "then the health check fails")
  } finally {
    server.kill("SIGKILL")
  }
}

/** The GPU agent of the image serves, and asks for its token. */
const tryAgent = async (image: Image) => {
  const port = 20_000 + Math.floor(Math.random() * 10_000)
  const settings = { LLAMERO_AGENT_TOKEN: "secret", LLAMERO_AGENT_PORT: String(port) }
  const agent = start(image, ["llamero-gpu-agent"], settings)
  const ask = (token: string) =>
    fetch(`http://127.0.0.1:${port}/gpus`, { headers: { authorization: `Bearer ${token}` } })
      .then(({ status }) => status, () => 0)
  try {
    await until("the agent answers", async () => await ask("secret") !== 0)
    check(await ask("secret") === 200 && await ask("wrong") === 401, "the GPU agent answers, to those with the token")
    agent.kill("SIGTERM")
    check(await ended(agent) === 0, "after SIGTERM it ends with status 0")
  } finally {
    agent.kill("SIGKILL")
  }
}

const main = async (ollama: string): Promise<void> => {
  const [first, second] = stages(text("Dockerfile"))
  mkdirSync(join(opt, "node/bin"), { recursive: true })
  copyFileSync(process.execPath, join(opt, "node/bin/node"))
  build(first!)
  // The second stage has what `COPY --from=build` takes, and nothing else.
  const { rest: taken = "" } = second!.find(({ name }) => name === "COPY") ?? {}
  check(taken === "--from=build /opt/llamero /opt/llamero", "the image takes one folder of the build")
  rmSync(join(opt, "src"), { recursive: true })

  const one = (name: string): string => second!.find((instruction) => instruction.name === name)!.rest
  const image = { user: one("USER"), workdir: one("WORKDIR"), env: environmentOf(second!, path) }
  const command = [...JSON.parse(one("ENTRYPOINT")), ...JSON.parse(one("CMD"))]
  const health = JSON.parse(/ CMD (\[.*\])$/.exec(one("HEALTHCHECK"))![1]!)
  check(
    readdirSync(join(opt, "llamero/build/compiled")).some((name) => name.endsWith(`-${image.user.split(":")[0]}`)),
    "what V8 compiled is there, for the user of the image",
  )
  await tryRouter(image, command, health, ollama)
  await tryAgent(image)
}

const why = absent()
if (why === undefined) {
  try {
    const tried = Effect.gen(function* () {
      const { url } = yield* SimulatedOllamaServer.make({ decodeRate: 40 })
      yield* Effect.promise(() => main(url))
    })
    await Effect.runPromise(Effect.scoped(tried))
  } finally {
    rmSync(stage, { recursive: true, force: true })
  }
} else console.log(`skipped: the image is not tried: ${why}`)
process.exit(0)
