/**
 * Keeps requests on backends with the right label: embedders on CPUs, chat on GPUs.
 *
 * @since 0.1.0
 */
import type { Filter } from "../../services/Plugin.ts"
import type { Demand } from "../../services/RoutedRequest.ts"

/**
 * `wanted` says the value that a request wants of a label, or `undefined` for any. Backends without the label take everything.
 *
 * **Example** (by device kind)
 *
 * `LabelFilter.make("device", ({ kind }) => kind === "embed" ? "cpu" : "gpu")`
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (label: string, wanted: (demand: Demand) => string | undefined): Filter => ({
  kind: "filter",
  name: `label-${label}`,
  keep: ({ backend }, demand) => {
    const has = backend.labels[label]
    if (has === undefined) return true
    const wants = wanted(demand)
    return wants === undefined || wants === has
  },
})
