/** nginx, Caddy and Traefik with the configurations of `deploy/`, in front of a router of a test. */
import { Effect, Random, Schedule } from "effect"
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { root } from "../../scripts/exports.ts"
import { start } from "./processes.ts"

export interface Proxy {
  readonly name: string
  /** Why it is not tested here; `undefined` where it is. */
  readonly absent: string | undefined
  /** Its files below `folder`, and the command that runs it. */
  readonly prepare: (at: Place) => { readonly files: Readonly<Record<string, string>>; readonly command: Command }
}

type Command = ReadonlyArray<string>

interface Place {
  readonly folder: string
  /** Where it listens. */
  readonly port: number
  /** `host:port` of the router. */
  readonly router: string
}

/** A shipped file with other addresses. Each has to be there once: a file must not be replaced in part. */
const shipped = (file: string, replaced: Readonly<Record<string, string>>): string => {
  let text = readFileSync(join(root, "deploy", file), "utf8")
  for (const [from, to] of Object.entries(replaced)) {
    if (text.split(from).length !== 2) throw new Error(`deploy/${file} does not have ${JSON.stringify(from)} once`)
    text = text.replace(from, to)
  }
  return text
}

const absent = (program: string, args: Command, from: string): string | undefined => {
  try {
    execFileSync(program, args, { stdio: "ignore" })
    return undefined
  } catch {
    return `there is no ${program} here: ${from}`
  }
}

const pip = "pip install -r test/deploy/requirements.txt"

const nginxMain = (folder: string): string => `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr warn;
events { worker_connections 1024; }
http {
  access_log off;
  ${
  ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/${name};`).join(" ")
}
  include ${folder}/llamero.conf;
}
`

const nginx: Proxy = {
  name: "nginx",
  absent: absent("nginx", ["-v"], "apt-get install nginx"),
  prepare: ({ folder, port, router }) => ({
    files: {
      "nginx.conf": nginxMain(folder),
      "llamero.conf": shipped("nginx/llamero.conf", {
        "server 127.0.0.1:11435;": `server ${router};`,
        "listen 8080;": `listen 127.0.0.1:${port};`,
      }),
    },
    command: ["nginx", "-e", "stderr", "-p", folder, "-c", join(folder, "nginx.conf")],
  }),
}

const caddy: Proxy = {
  name: "Caddy",
  absent: absent("caddy", ["version"], pip),
  prepare: ({ folder, port, router }) => ({
    files: {
      // No interface for administration, and nothing that is kept.
      Caddyfile: `{\n\tadmin off\n\tpersist_config off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n}\n${
        shipped("caddy/Caddyfile", {
          "\n:8080 {": `\n:${port} {`,
          "reverse_proxy 127.0.0.1:11435": `reverse_proxy ${router}`,
        })
      }`,
    },
    command: ["caddy", "run", "--config", join(folder, "Caddyfile"), "--adapter", "caddyfile"],
  }),
}

const traefik: Proxy = {
  name: "Traefik",
  absent: absent("traefik", ["version"], pip),
  prepare: ({ folder, port, router }) => ({
    files: {
      "traefik.yml": shipped("traefik/traefik.yml", {
        [`address: ":8080"`]: `address: "127.0.0.1:${port}"`,
        "/etc/traefik/llamero.yml": join(folder, "llamero.yml"),
      }),
      "llamero.yml": shipped("traefik/llamero.yml", { "http://127.0.0.1:11435": `http://${router}` }),
    },
    command: ["traefik", `--configFile=${join(folder, "traefik.yml")}`],
  }),
}

export const proxies: ReadonlyArray<Proxy> = [nginx, caddy, traefik]

const temporary = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "llamero-proxy-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true })),
)

const answers = (url: string) =>
  Effect.promise(() => fetch(`${url}/livez`).then(({ status }) => status === 200, () => false)).pipe(
    Effect.filterOrFail((answered) => answered, () => "not yet"),
  )

/** Starts a proxy, and waits until it passes on an answer of the router. Gives its address. */
export const serve = Effect.fnUntraced(function* ({ name, prepare }: Proxy, url: string) {
  const attempt = Effect.gen(function* () {
    const folder = yield* temporary
    const port = yield* Random.nextIntBetween(20_000, 30_000)
    const { command, files } = prepare({ folder, port, router: new URL(url).host })
    for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text)
    const running = yield* start(command, { HOME: folder })
    const address = `http://127.0.0.1:${port}`
    yield* Effect.raceFirst(
      Effect.retry(answers(address), Schedule.spaced("50 millis")).pipe(Effect.timeout("20 seconds")),
      Effect.flatMap(running.ended, () => Effect.fail(`${name} ended`)),
    ).pipe(Effect.mapError((error) => new Error(`${String(error)}:\n${running.printed()}`)))
    return address
  })
  // Another program may have the port.
  return yield* Effect.orDie(Effect.retry(attempt, { times: 2 }))
})
