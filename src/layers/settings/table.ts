/**
 * The table of settings in Markdown.
 *
 * @since 0.1.0
 */
import * as Reloads from "./changeable.ts"
import type { Variable } from "./variable.ts"

/** @internal */
export const markdown = (variables: Readonly<Record<string, Variable<unknown>>>): string =>
  [
    "| variable | default | reload | meaning |",
    "| --- | --- | --- | --- |",
    ...Object.entries(variables).map(([key, { meaning, name, shown }]) =>
      `| \`${name}\` | ${shown && `\`${shown}\``} | ${Reloads.takes(key)} | ${meaning} |`
    ),
  ].join("\n")
