/**
 * Sends requests to backends with the right label, such as embeddings to CPUs and chats to GPUs.
 *
 * @since 0.1.0
 */
import type { Filter } from "../../services/Plugin.ts"
import type { Demand } from "../../services/RoutedRequest.ts"

/**
 * Keeps a backend whose label has the value that the request wants. `wanted` returns that value, or `undefined` for
 * any. A backend without the label is kept for every request.
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
