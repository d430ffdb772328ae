/** Validates resources with the schemas of `kubernetes-models` and of its packages for custom resources. */
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
