/**
 * Lint rules on length, for `deno lint`. A function in `src` has at most 70 lines and a file in `src` at most 250. A
 * line of a comment has at most 120 characters, everywhere.
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
        message: `this function has ${lines} lines, the most is ${functionMax}`,
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
      context.report({ range: [0, 1], message: `this file has ${lines} lines, the most is ${fileMax}` })
    },
  }),
}

/** Whether a line of a comment is one word: a link or a path cannot be broken. */
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
              message: `a line of a comment has ${line.length} characters, the most is ${proseMax}`,
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
