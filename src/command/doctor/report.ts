/**
 * What the command says: the findings, what was looked at, and what could not be known.
 *
 * @since 0.1.0
 */
import { examine } from "./checks/index.ts"
import { type Finding, names } from "./finding.ts"
import type { Severity } from "./kinds.ts"
import { answering, devicesOf, environmentOf, type Observations } from "./observations.ts"

/** Something that was not known, so that its checks say nothing. */
export interface Unknown {
  readonly what: string
  /** How to let this command know. */
  readonly remedy: string
}

/** The result, as `--json` prints it. `null` means "not known". */
export interface Report {
  /** No error and no warning. */
  readonly healthy: boolean
  readonly counts: Readonly<Record<Severity, number>>
  readonly findings: ReadonlyArray<Finding>
  readonly lookedAt: {
    readonly backends: ReadonlyArray<{ readonly id: string; readonly url: string; readonly version: string | null }>
    readonly machines: ReadonlyArray<{
      readonly name: string
      /** The source that told its devices. */
      readonly source: string | null
      readonly driver: string | null
      readonly cuda: string | null
      readonly gpus: ReadonlyArray<{ readonly uuid: string; readonly name: string; readonly bytes: number | null }>
    }>
    /** Models that the fleet must have. */
    readonly models: ReadonlyArray<string>
    readonly router: string | null
  }
  readonly unknown: ReadonlyArray<Unknown>
}

const unknown = (observations: Observations): ReadonlyArray<Unknown> => {
  const backends = answering(observations)
  const idsOf = (test: (observed: typeof backends[number]) => boolean) =>
    names(backends.filter(test).map(({ backend }) => backend.id))
  const noEnvironment = idsOf(({ backend }) => environmentOf(observations, backend.id) === undefined)
  const noDevices = idsOf((observed) => devicesOf(observations, observed) === undefined)
  const noLists = idsOf(({ ps, tags }) => tags === undefined || ps === undefined)
  const estimated = new Set(observations.footprints.map(({ model }) => model))
  const noFootprint = noDevices !== "" ? "" : names(
    observations.models.filter(({ key, planned }) => planned && !estimated.has(key)).map(({ name }) => name),
  )
  const all: ReadonlyArray<readonly [string, string, string]> = [
    [noEnvironment, "the environment variables of Ollama", "give them with --ollama-env FILE, or run this as its user"],
    [noDevices, "the GPUs", "run this on its machine, or name a GPU agent in LLAMERO_AGENTS"],
    [noLists, "the models on disk and in memory", "look at the log of Ollama: it did not answer in time"],
    [noFootprint, "the memory that it would take on a GPU", "load it once, or write it into LLAMERO_FOOTPRINTS"],
  ]
  return [
    ...all.flatMap(([of, what, remedy]) => of === "" ? [] : [{ what: `${what} of ${of}`, remedy }]),
    ...observations.router === undefined
      ? [{ what: "what a running router has learned", remedy: "give its address with --url, and its admin token" }]
      : [],
    ...observations.openFiles === undefined
      ? [{ what: "the limit of open files", remedy: "run this on Linux, or look at `ulimit -n`" }]
      : [],
  ]
}

/** Runs all checks. */
export const report = (observations: Observations): Report => {
  const findings = examine(observations)
  const count = (severity: Severity) => findings.filter((one) => one.severity === severity).length
  const counts = { error: count("error"), warning: count("warning"), advice: count("advice") }
  return {
    healthy: counts.error + counts.warning === 0,
    counts,
    findings,
    lookedAt: {
      backends: observations.backends.map(({ backend: { id, url }, version }) => ({
        id,
        url,
        version: version ?? null,
      })),
      machines: observations.hosts.map(({ devices, driver, name, source }) => ({
        name,
        source: source === "" ? null : source,
        driver: driver?.version ?? null,
        cuda: driver?.cuda ?? null,
        gpus: (devices ?? []).filter(({ kind }) => kind !== "system").map(({ name, total, uuid }) => ({
          uuid,
          name,
          bytes: total ?? null,
        })),
      })),
      models: observations.models.map(({ name }) => name),
      router: observations.router?.url ?? null,
    },
    unknown: unknown(observations),
  }
}
