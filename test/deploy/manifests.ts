/** Reads `deploy/kubernetes`, as it is and as kustomize renders it. */
import { execFileSync } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { parse, parseAllDocuments } from "yaml"
import { root } from "../../scripts/exports.ts"

/** A resource of Kubernetes; tests look for what they ask about. */
// deno-lint-ignore no-explicit-any
export type Resource = any

export const folder = join(root, "deploy/kubernetes")

export const read = (file: string): string => readFileSync(join(folder, file), "utf8")

/** All files below `deploy/kubernetes`, from there. */
export const files: ReadonlyArray<string> = readdirSync(folder, { recursive: true, encoding: "utf8" })
  .filter((file) => /\.\w+$/.test(file)).sort()

/** The documents of a text in YAML. Throws where a text has a mistake, such as a key that comes twice. */
export const documents = (text: string): ReadonlyArray<Resource> =>
  parseAllDocuments(text, { uniqueKeys: true }).map((document) => {
    if (document.errors.length > 0) throw document.errors[0]
    return document.toJS()
  })

/** What a kustomization lists below `field`, from `deploy/kubernetes`. */
const listed = (kustomization: string, field: string): ReadonlyArray<string> =>
  (parse(read(kustomization))[field] ?? []).map((path: string) => join(dirname(kustomization), path))

export const kustomizations = files.filter((file) => file.endsWith("kustomization.yaml"))

/** Every resource that a kustomization names in a file, with that file. */
export const sources: ReadonlyArray<readonly [file: string, resource: Resource]> = kustomizations
  .flatMap((kustomization) => listed(kustomization, "resources"))
  .filter((path) => path.endsWith(".yaml"))
  .flatMap((file) => documents(read(file)).map((resource) => [file, resource] as const))

export const overlays = readdirSync(join(folder, "overlays")).sort()

const renderers: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
  ["kubectl", ["kustomize"]],
  ["kustomize", ["build"]],
]

const renderer = renderers.find(([program]) => {
  try {
    execFileSync(program, program === "kubectl" ? ["version", "--client"] : ["version"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
})

/** Why the overlays cannot be rendered here; `undefined` where they can. */
export const cannotRender = renderer === undefined ? "there is neither kubectl nor kustomize here" : undefined

/** The resources of an overlay. Throws what kustomize says. */
export const render = (overlay: string): ReadonlyArray<Resource> => {
  const [program, args] = renderer!
  const printed = execFileSync(program, [...args, join(folder, "overlays", overlay)], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  })
  return documents(printed)
}

/** A file of `NAME=value` lines. */
export const environment = (text: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    text.split("\n").filter((line) => /^\w+=/.test(line)).map((line) => {
      const at = line.indexOf("=")
      return [line.slice(0, at), line.slice(at + 1)]
    }),
  )

/** The template of the pods of a resource; `undefined` where it has none. */
export const templateOf = ({ spec }: Resource): Resource => {
  const template = (spec?.jobTemplate?.spec ?? spec)?.template
  return template?.spec?.containers === undefined ? undefined : template
}

export const containersOf = (resource: Resource): ReadonlyArray<Resource> => {
  const template = templateOf(resource)
  return template === undefined ? [] : [...template.spec.initContainers ?? [], ...template.spec.containers]
}

/** `Deployment llamero`, for messages. */
export const nameOf = ({ kind, metadata }: Resource): string => `${kind} ${metadata.name}`
