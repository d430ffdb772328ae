/** Grafana's JSON of a dashboard. */
import { definitionOf, metricsOf, unitOf } from "./definitions.ts"
import type { Dashboard, Panel } from "./panels.ts"

const datasource = { type: "prometheus", uid: "${datasource}" }
const [columns, width, height] = [24, 12, 8]

const kinds = { lines: "timeseries", stacked: "timeseries", number: "stat", states: "state-timeline" } as const

/** The meanings of the metrics in a panel. */
const described = ({ queries }: Panel): string =>
  Array.from(
    new Set(queries.flatMap(({ expr }) => metricsOf(expr))),
    (name) => `${name}: ${definitionOf(name).meaning}`,
  )
    .join("\n\n")

const panelOf = (panel: Panel, index: number) => {
  const { queries, shows = "lines", title } = panel
  const stacked = shows === "stacked"
  return {
    id: index + 1,
    type: kinds[shows],
    title,
    description: described(panel),
    datasource,
    gridPos: { x: (index * width) % columns, y: Math.floor(index * width / columns) * height, w: width, h: height },
    fieldConfig: {
      defaults: {
        unit: panel.unit ?? unitOf(queries[0]?.expr ?? ""),
        ...(shows === "states" || shows === "number" ? {} : { min: 0 }),
        custom: shows === "lines" || stacked
          ? {
            fillOpacity: stacked ? 60 : 8,
            lineWidth: 1,
            showPoints: "never",
            stacking: { mode: stacked ? "normal" : "none" },
          }
          : {},
      },
      overrides: [],
    },
    options: shows === "lines" || stacked
      ? {
        legend: { displayMode: "table", placement: "bottom", calcs: ["lastNotNull", "max"] },
        tooltip: { mode: "multi", sort: "desc" },
      }
      : {},
    targets: queries.map(({ expr, legend }, at) => ({
      refId: String.fromCharCode(65 + at),
      datasource,
      expr,
      legendFormat: legend,
      exemplar: expr.includes("_bucket{"),
    })),
  }
}

/** The dashboard as Grafana imports it and as its provisioning reads it. */
export const grafana = ({ panels, title, uid }: Dashboard): string =>
  JSON.stringify(
    {
      uid,
      title,
      tags: ["llamero"],
      schemaVersion: 39,
      version: 1,
      editable: true,
      refresh: "10s",
      time: { from: "now-1h", to: "now" },
      templating: {
        list: [
          { name: "datasource", type: "datasource", query: "prometheus", label: "Data source" },
          {
            ...{
              name: "instance",
              type: "query",
              label: "Router",
              datasource,
              includeAll: true,
              multi: true,
              allValue: ".*",
            },
            ...{
              query: "label_values(llamero_active_requests, instance)",
              refresh: 2,
              current: { text: "All", value: "$__all" },
            },
          },
        ],
      },
      links: [{ type: "dashboards", tags: ["llamero"], title: "llamero", asDropdown: true }],
      panels: panels.map(panelOf),
    },
    undefined,
    2,
  ) + "\n"
