/**
 * Validates resources with what `kubernetes-models` and its packages for custom resources have: schemas, which allow
 * fields that they do not know, and types, with which TypeScript finds such fields.
 */
import { execFileSync } from "node:child_process"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { root } from "../../scripts/exports.ts"
import { nameOf, type Resource } from "./manifests.ts"

/** The module that has the model of a kind. */
const moduleOf = (apiVersion: string, kind: string): string => {
  const path = `${apiVersion}/${kind}`
  if (apiVersion.startsWith("monitoring.coreos.com/")) return `@kubernetes-models/prometheus-operator/${path}`
  if (apiVersion.startsWith("keda.sh/")) return `@kubernetes-models/keda/${path}`
  if (apiVersion.startsWith("karpenter.")) return `@kubernetes-models/karpenter/${path}`
  return `kubernetes-models/${path}`
}

interface Model {
  readonly validate: () => void
}

/** What is wrong with a resource, or `undefined`. Throws where no package has its kind. */
export const flawOf = async (resource: Resource): Promise<string | undefined> => {
  const { apiVersion, kind } = resource
  const module = await import(moduleOf(apiVersion, kind)) as Readonly<Record<string, new (data: Resource) => Model>>
  const Model = module[kind]
  if (Model === undefined) throw new Error(`no schema for ${nameOf(resource)}`)
  try {
    new Model(resource).validate()
    return undefined
  } catch (error) {
    return `${nameOf(resource)}: ${error instanceof Error ? error.message : String(error)}`
  }
}

/** What the compiler says about resources as values of their types: fields that a kind does not have. */
export const typeErrors = (resources: ReadonlyArray<Resource>): ReadonlyArray<string> => {
  // Inside the repository, so that the packages are found.
  const folder = join(root, `.types-manifests-${process.pid}`)
  mkdirSync(folder)
  try {
    const text = resources.map((resource, i) => {
      const { apiVersion, kind } = resource
      return `import type { I${kind} as T${i} } from "${moduleOf(apiVersion, kind)}"\n` +
        `// ${nameOf(resource)}\nexport const r${i}: T${i} = ${JSON.stringify(resource, undefined, 1)}\n`
    }).join("")
    writeFileSync(join(folder, "resources.ts"), text)
    const compilerOptions = { module: "nodenext", strict: true, noEmit: true, skipLibCheck: true, types: [] }
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["resources.ts"] }))
    execFileSync(join(root, "node_modules/.bin/tsc"), ["-p", folder, "--pretty", "false"], {
      encoding: "utf8",
      stdio: "pipe",
    })
    return []
  } catch (error) {
    const { stderr = String(error), stdout = "" } = error as { readonly stderr?: string; readonly stdout?: string }
    return (stdout || stderr).trim().split("\n")
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
