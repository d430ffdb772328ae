/** Child processes of a test: started, read from, and ended when the scope closes. */
import { Effect, Schedule, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { resolve } from "node:path"
import process from "node:process"

const root = resolve(import.meta.dirname!, "../..")
const bin = (name: string): string => resolve(root, "node_modules/.bin", name)
const poll = Schedule.spaced("20 millis")

/** How each runtime runs a file of the repository. */
export const runtimes = {
  node: [bin("node")],
  deno: [bin("deno"), "run", "-A", "--quiet"],
} as const

export const denoServe = [bin("deno"), "serve", "-A", "--host", "127.0.0.1", "--port", "0"]

export interface Running {
  readonly child: ChildProcess
  /** Everything that it has printed so far, on both streams. */
  readonly printed: () => string
  /** The exit status, or the signal that ended it. */
  readonly ended: Effect.Effect<number | string>
}

export const start = (
  command: ReadonlyArray<string>,
  env: Readonly<Record<string, string>> = {},
): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const [name = "", ...args] = command
        // The machine's own environment variables must not reach the settings under test. A program must not take a
        // package runner that runs the tests for its own.
        const inherited = Object.entries(process.env).filter(([key]) =>
          !/^((LLAMERO|OLLAMA|OTEL|npm)_|PORT$)/.test(key)
        )
        const child = spawn(name, args, { cwd: root, env: { ...Object.fromEntries(inherited), ...env } })
        let printed = ""
        const ended = new Promise<number | string>((done) =>
          child.on("close", (code, signal) => done(code ?? signal ?? "?"))
        )
        child.stdout.on("data", (chunk) => printed += chunk)
        child.stderr.on("data", (chunk) => printed += chunk)
        return { child, printed: () => printed, ended: Effect.promise(() => ended) }
      }),
      ({ child }) => Effect.sync(() => child.kill("SIGKILL")),
    ),
    (running) => running,
  )

/**
 * The first match in the output. A defect with the whole output if the process ends, or 20 seconds pass, without a
 * match.
 */
export const prints = ({ ended, printed }: Running, pattern: RegExp): Effect.Effect<RegExpExecArray> => {
  const look = Effect.suspend(() => {
    const found = pattern.exec(printed())
    return found === null ? Effect.fail("not yet") : Effect.succeed(found)
  })
  const polled = Effect.retry(look, { schedule: poll }).pipe(Effect.timeout("20 seconds"))
  const failed = (why: string) => Effect.die(new Error(`${why} without ${pattern}:\n${printed()}`))
  return Effect.raceFirst(
    Effect.catch(polled, () => failed("20 seconds passed")),
    Effect.flatMap(ended, (status) => Effect.catch(look, () => failed(`it ended with ${status}`))),
  )
}

/** Runs a command to its end. */
export const run = (command: ReadonlyArray<string>, env: Readonly<Record<string, string>>) =>
  Effect.scoped(Effect.gen(function* () {
    const running = yield* start(command, env)
    const status = yield* running.ended
    return { status, printed: running.printed() }
  }))
