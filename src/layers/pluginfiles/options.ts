/**
 * Says in words what is wrong with the options of a plugin.
 *
 * @since 0.1.0
 */
import { Schema, type SchemaAST, SchemaIssue } from "effect"
import { didYouMean } from "../../support/nearest.ts"

const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()

/** The names of the fields that a schema has at a path; none where it does not list them. */
const namesAt = (ast: SchemaAST.AST, path: ReadonlyArray<PropertyKey>): ReadonlyArray<string> => {
  if (ast._tag !== "Objects") return []
  const [first, ...rest] = path
  if (first === undefined) return ast.propertySignatures.map(({ name }) => String(name))
  const field = ast.propertySignatures.find(({ name }) => name === first)
  return field === undefined ? [] : namesAt(field.type, rest)
}

/**
 * Everything that is wrong, each flaw with the option and what is allowed. Values are not shown: one may be a secret.
 *
 * @internal
 */
export const explain = (schema: Schema.Constraint, error: Schema.SchemaError): string => {
  const { ast } = Schema.toEncoded(schema)
  const flaws = issuesOf(error.issue).issues.map(({ message, path: keys = [] }) => {
    const path = keys.map((key) => typeof key === "object" ? key.key : key)
    const option = path.length === 0 ? "the options" : `the option ${path.map(String).join(".")}`
    const wanted = message.replace(/^Expected /, "")
    const names = namesAt(ast, path.slice(0, -1))
    if (wanted === "no excess property") {
      const allowed = names.length === 0 ? "" : `: the options are ${names.join(", ")}`
      return `${option} is unknown${allowed}${didYouMean(String(path.at(-1)), names)}`
    }
    return message === "Missing key" ? `${option} is missing` : `${option} must be ${wanted.replaceAll(" | ", " or ")}`
  })
  return [...new Set(flaws)].join("; ")
}
