/**
 * Lint rules on length, for `deno lint`: a function in `src` has at most 70 lines, a file in `src` at most 250, a line of a comment at most 120 characters.
 */
const functionMax = 70
const fileMax = 250
const proseMax = 120

const isSource = (file: string): boolean => /\/src\/(?!.*\/test\/)/.test(file.replaceAll("\\", "/"))

/** Lines from the first to the last character of a range. */
const linesOf = (text: string, [start, end]: readonly [number, number]): number =>
  text.slice(start, end).split("\n").length

const functionLength: Deno.lint.Rule = {
  create: (context) => {
    if (!isSource(context.filename)) return {}
    const check = (node: Deno.lint.Node): void => {
      const lines = linesOf(context.sourceCode.text, node.range)
      if (lines <= functionMax) return
      const [start] = node.range
      context.report({
        range: [start, start + 1],
        message: `this function has ${lines} lines, at most ${functionMax} may be`,
      })
    }
    return { FunctionDeclaration: check, FunctionExpression: check, ArrowFunctionExpression: check }
  },
}

const fileLength: Deno.lint.Rule = {
  create: (context) => ({
    Program() {
      const lines = context.sourceCode.text.trimEnd().split("\n").length
      if (!isSource(context.filename) || lines <= fileMax) return
      context.report({ range: [0, 1], message: `this file has ${lines} lines, at most ${fileMax} may be` })
    },
  }),
}

/** A link or a path cannot be broken. */
const isUnbreakable = (line: string): boolean => line.replace(/^[\s/*]+/, "").trimEnd().split(" ").length === 1

const proseLength: Deno.lint.Rule = {
  create: (context) => ({
    Program() {
      const { text } = context.sourceCode
      for (const comment of context.sourceCode.getAllComments()) {
        let at = text.lastIndexOf("\n", comment.range[0]) + 1
        while (at < comment.range[1]) {
          const end = text.indexOf("\n", at)
          const line = text.slice(at, end < 0 ? undefined : end)
          const from = Math.max(at, comment.range[0])
          if (line.length > proseMax && !isUnbreakable(text.slice(from, at + line.length))) {
            context.report({
              range: [from, from + 1],
              message: `a line of ${line.length} characters with prose, at most ${proseMax} may be`,
            })
          }
          if (end < 0) break
          at = end + 1
        }
      }
    },
  }),
}

const plugin: Deno.lint.Plugin = {
  name: "limits",
  rules: { "function-length": functionLength, "file-length": fileLength, "prose-length": proseLength },
}

export default plugin
