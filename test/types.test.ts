/** The messages of the compiler about a router that is not complete: they name what is missing. */
import { afterAll, assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import process from "node:process"

const root = resolve(import.meta.dirname, "..")
// Inside the package, so that `llamero` is the package itself.
const folder = join(root, `.types-${process.pid}`)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const head = `
import { Context, Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { BoundedAdmission, FetchTransport, HealthyFilter, HttpOllamaApi, LeastBusyScorer, MaxScorePicker, MemoryVramLedger, OllamaOrderVictimPicker, type Plugin, Standard, StandardProfile, StaticFleet } from "llamero"
import { MockGpuProbe, MockModelFootprints } from "llamero/testing"
const fleet = StaticFleet.layer(["http://a:11434"])
const transport = FetchTransport.layer()
const api = HttpOllamaApi.layer().pipe(Layer.provide(FetchHttpClient.layer))
class Billing extends Context.Service<Billing, { readonly charge: Effect.Effect<void> }>()("Billing") {}
const guard: Plugin.Guard<Billing> = {
  kind: "guard", name: "billing", check: (request) => Effect.flatMap(Billing, ({ charge }) => Effect.as(charge, { _tag: "Pass", request }))
}
const observer: Plugin.Observer<Billing> = { kind: "observer", name: "billing", observe: () => Effect.flatMap(Billing, ({ charge }) => charge) }
const plan: Plugin.Plan<Billing> = { kind: "plan", name: "paid", targets: () => Effect.as(Billing, []) }
const runs = (router: Layer.Layer<Standard.Provides, unknown>) => router
`

/** A name, the code, and a part of the message: most often its last line. */
const wrong: ReadonlyArray<readonly [string, string, string]> = [
  [
    "no fleet",
    `runs(Standard.layer().pipe(Layer.provide([transport, api])))`,
    "Type 'Fleet' is not assignable to type 'never'.",
  ],
  [
    "no transport",
    `runs(Standard.layer().pipe(Layer.provide([fleet, api])))`,
    "Type 'Transport' is not assignable to type 'never'.",
  ],
  [
    "no control calls",
    `runs(Standard.layer().pipe(Layer.provide([fleet, transport])))`,
    "Type 'OllamaApi' is not assignable to type 'never'.",
  ],
  [
    "a ledger without its probe",
    `runs(Standard.layer({ ledger: MemoryVramLedger.layer() }).pipe(Layer.provide([fleet, transport, api])))`,
    "Type 'GpuProbe | ModelFootprints' is not assignable to type 'never'.",
  ],
  [
    "a service that a guard requires",
    `runs(Standard.layer({ guards: [guard] }).pipe(Layer.provide([fleet, transport, api])))`,
    "Type 'Billing' is not assignable to type 'never'.",
  ],
  [
    "a service that an observer requires",
    `runs(Standard.layer({ observers: [observer] }).pipe(Layer.provide([fleet, transport, api])))`,
    "Type 'Billing' is not assignable to type 'never'.",
  ],
  [
    "a service that a plan requires",
    `runs(Standard.layer({ plans: [plan] }).pipe(Layer.provide([fleet, transport, api])))`,
    "Type 'Billing' is not assignable to type 'never'.",
  ],
  [
    "a layer in the wrong place",
    `Standard.layer({ breaker: BoundedAdmission.layer() })`,
    "Type 'Breaker' is not assignable to type 'Admission'.",
  ],
  [
    "a scorer among the filters",
    `Standard.layer({ profile: { ...StandardProfile.make(), filters: [LeastBusyScorer.make()] } })`,
    "Property 'keep' is missing in type 'Scorer' but required in type 'Filter'.",
  ],
  [
    "a filter for a picker",
    `Standard.layer({ profile: { ...StandardProfile.make(), picker: HealthyFilter.make() } })`,
    "Property 'pick' is missing in type 'Filter' but required in type 'Picker'.",
  ],
  [
    "a picker of backends for a picker of victims",
    `Standard.layer({ victims: MaxScorePicker.make() })`,
    `Type '"picker"' is not assignable to type '"victim-picker"'.`,
  ],
  [
    "an observer among the guards",
    `Standard.layer({ guards: [observer] })`,
    "Property 'check' is missing in type 'Observer<Billing>' but required in type 'Guard<unknown>'.",
  ],
]
const right: ReadonlyArray<readonly [string, string]> = [
  ["the whole stack", `runs(Standard.layer().pipe(Layer.provide([fleet, transport, api])))`],
  [
    "plugins written in place, their parameters typed",
    `runs(Standard.layer({
  guards: [{ kind: "guard", name: "g", check: (request) => ({ _tag: "Pass", request }) }],
  observers: [{ kind: "observer", name: "o", observe: (event) => void event._tag }],
  profile: ({ tenant }) => ({ ...StandardProfile.make(), name: tenant, picker: MaxScorePicker.make() })
}).pipe(Layer.provide([fleet, transport, api])))`,
  ],
  [
    "a picker of victims",
    `runs(Standard.layer({ victims: OllamaOrderVictimPicker.make() }).pipe(Layer.provide([fleet, transport, api])))`,
  ],
  [
    "plugins with the services that they require",
    `const billing = Layer.succeed(Billing, { charge: Effect.void })
runs(Standard.layer({ guards: [guard], observers: [observer], plans: [plan] }).pipe(Layer.provide([fleet, transport, api, billing])))`,
  ],
  [
    "a managed ledger with its probe",
    `const gpus = Layer.merge(MockGpuProbe.layer([]), MockModelFootprints.layer({}))
runs(Standard.layer({ ledger: MemoryVramLedger.layer() }).pipe(Layer.provide([fleet, transport, api, gpus])))`,
  ],
]

/** Compiles all files at once, and returns the messages of one by its name. */
const compiled = (() => {
  mkdirSync(folder)
  const files = [...wrong, ...right].map(([name, code]) => [name.replaceAll(/\W/g, "-"), code] as const)
  for (const [name, code] of files) writeFileSync(join(folder, `${name}.ts`), head + code + "\nexport {}\n")
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({ extends: "../tsconfig.json", include: ["*.ts"], exclude: [] }),
  )
  let told = ""
  try {
    execFileSync(join(root, "node_modules/.bin/tsc"), ["-p", folder, "--pretty", "false"], { encoding: "utf8" })
  } catch (error) {
    told = (error as { readonly stdout: string }).stdout
  }
  return (name: string) =>
    told.split(/^(?=\S)/m).filter((message) => message.includes(`/${name.replaceAll(/\W/g, "-")}.ts(`)).join("")
})()

describe("types", () => {
  for (const [name, , says] of wrong) {
    it(`are wrong, and the message says why: ${name}`, () => assert.include(compiled(name), says))
  }
  for (const [name] of right) it(`are right: ${name}`, () => assert.strictEqual(compiled(name), ""))
})
