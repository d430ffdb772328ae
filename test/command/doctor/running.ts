/** Runs `doctor` as a command, in surroundings of a test. */
import { NodeServices } from "@effect/platform-node"
import { Cause, Effect, Exit, Layer, Runtime, Stdio, Terminal } from "effect"
import { Command } from "effect/cli"
import { make } from "../../../src/command/doctor/command.ts"
import type { ObservedHost } from "../../../src/command/doctor/observations.ts"
import type { World } from "../../../src/command/doctor/run.ts"
import type { Report } from "../../../src/command/doctor/report.ts"
import { Transport } from "../../../src/services/Transport.ts"
import { gib, gpu } from "./healthy.ts"

/** This machine, with one GPU of 24 GiB. */
export const withGpu = (total = 24 * gib): ObservedHost => ({
  name: "localhost",
  source: "nvml",
  devices: [gpu("GPU-a", { total })],
  passedOver: [],
  driver: { version: "580.95.05", cuda: "13.0" },
})

/** This machine, without a GPU. */
export const withoutGpu: ObservedHost = {
  name: "localhost",
  source: "system-memory",
  devices: [gpu("system", { kind: "system", capability: undefined })],
  passedOver: [{ source: "nvml", reason: "LibraryMissing", description: "there is no such library" }],
  driver: undefined,
}

export interface Surroundings {
  readonly env?: Readonly<Record<string, string>>
  readonly here?: ObservedHost
  readonly transport?: World["transport"]
  readonly terminal?: { readonly columns: number }
}

/** What was printed, and the status with which the program would end. */
export interface Ran {
  readonly status: number
  readonly out: string
}

/** `root` is a folder without `/proc`, so that the machine of the test does not matter. */
export const doctor = (
  args: ReadonlyArray<string>,
  { env = {}, here = withGpu(), terminal, transport }: Surroundings = {},
): Effect.Effect<Ran> =>
  Effect.gen(function* () {
    let out = ""
    const world: Partial<World> = {
      env,
      local: () => Effect.succeed(here),
      root: "/nowhere",
      ...(transport === undefined ? {} : { transport }),
    }
    const screen = Terminal.make({
      columns: Effect.succeed(terminal?.columns ?? 80),
      rows: Effect.succeed(24),
      size: Effect.die("not asked for"),
      readInput: Effect.die("not asked for"),
      readLine: Effect.die("not asked for"),
      display: (text) => Effect.sync(() => void (out += text)),
    })
    const stdio = Stdio.layerTest({ stdoutIsTerminal: Effect.succeed(terminal !== undefined) })
    const exit = yield* Command.runWith(make(world), { version: "0.0.0" })(args).pipe(
      Effect.provideService(Terminal.Terminal, screen),
      Effect.provide(stdio),
      Effect.provide(NodeServices.layer),
      Effect.exit,
    )
    let status = -1
    Runtime.defaultTeardown(exit, (code) => void (status = code))
    if (Exit.isFailure(exit) && out === "") out = Cause.pretty(exit.cause)
    return { status, out }
  })

/** The report of `--json`. */
export const reportOf = (
  args: ReadonlyArray<string>,
  surroundings: Surroundings = {},
): Effect.Effect<Report & { readonly status: number }> =>
  Effect.map(doctor(["--json", ...args], surroundings), ({ out, status }) => ({ ...JSON.parse(out), status }))

/** The ids of its findings. */
export const idsOf = (args: ReadonlyArray<string>, surroundings: Surroundings = {}) =>
  Effect.map(reportOf(args, surroundings), ({ findings }) => findings.map(({ id }) => id))

/** The transport that a test already has. */
export const using = (transport: Transport["Service"]): Pick<Surroundings, "transport"> => ({
  transport: () => Layer.succeed(Transport, transport),
})
