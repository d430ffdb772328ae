/** Markdown to HTML: as much of it as our documents and docstrings use. */

export const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;")

export const slug = (heading: string): string =>
  heading.toLowerCase().replaceAll(/[^\p{L}\p{N}_ -]/gu, "").trim().replaceAll(" ", "-")

/** What the text around a document knows. */
export interface Surroundings {
  /** Where a link leads, as seen from the page. */
  readonly link: (href: string) => string
  /** The page of what a code span names, if it names something that has one. */
  readonly named: (code: string) => string | undefined
  /** The text of a picture, to be put in line. */
  readonly picture: (href: string) => string
}

const comments = /(\/\*\*?[\s\S]*?\*\/|(?<![:"'`\w/])\/\/[^\n]*)/g

/** A block of code, its comments set back. */
export const code = (text: string, language: string): string => {
  const shown = language === "ts"
    ? text.split(comments).map((part, i) => i % 2 === 1 ? `<i>${escape(part)}</i>` : escape(part)).join("")
    : escape(text)
  return `<pre><code>${shown}</code></pre>`
}

const span = (text: string, { named }: Surroundings): string => {
  const to = named(text)
  const shown = `<code>${escape(text)}</code>`
  return to === undefined ? shown : `<a href="${escape(to)}">${shown}</a>`
}

/** Within a line: code first, since nothing in it means anything. */
export const inline = (text: string, around: Surroundings): string =>
  text.split(/(`[^`]+`|!?\[(?:[^\]`]|`[^`]*`)*\]\([^)\s]+\))/).map((part, i) => {
    if (i % 2 === 0) {
      return escape(part).replaceAll(/\*\*([^*]+)\*\*/g, "<strong>$1</strong>").replaceAll(
        /(?<![\w*])\*([^*\s][^*]*)\*(?![\w*])/g,
        "<em>$1</em>",
      )
    }
    if (part.startsWith("`")) return span(part.slice(1, -1), around)
    const [, said = "", href = ""] = /^!?\[(.*)\]\((.*)\)$/s.exec(part) ?? []
    if (part.startsWith("!")) return around.picture(href)
    // A link within a link would be none.
    return `<a href="${escape(around.link(href))}">${inline(said, { ...around, named: () => undefined })}</a>`
  }).join("")

/** The cells of a row; `\|` is a bar in the text. */
const cells = (line: string): ReadonlyArray<string> =>
  line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "").split(/(?<!\\)\|/).map((cell) =>
    cell.trim().replaceAll("\\|", "|")
  )

const table = (lines: ReadonlyArray<string>, around: Surroundings): string => {
  const row = (line: string, tag: "td" | "th") =>
    `<tr>${cells(line).map((cell) => `<${tag}>${inline(cell, around)}</${tag}>`).join("")}</tr>`
  const [head = "", , ...body] = lines
  const shown = cells(head).some((cell) => cell !== "") ? `<thead>${row(head, "th")}</thead>` : ""
  return `<div class="wide"><table>${shown}<tbody>${
    body.map((line) => row(line, "td")).join("\n")
  }</tbody></table></div>`
}

const list = (lines: ReadonlyArray<string>, around: Surroundings): string => {
  const items: Array<string> = []
  for (const line of lines) {
    if (/^(- |\d+\. )/.test(line)) items.push(line.replace(/^(- |\d+\. )/, ""))
    else items.push(`${items.pop() ?? ""}\n${line.trim()}`)
  }
  const tag = lines[0]?.startsWith("- ") === true ? "ul" : "ol"
  return `<${tag}>${items.map((item) => `<li>${inline(item, around)}</li>`).join("\n")}</${tag}>`
}

const heading = (line: string, around: Surroundings): string => {
  const level = line.indexOf(" ")
  const text = line.slice(level + 1)
  return `<h${level} id="${slug(text)}">${inline(text, around)}</h${level}>`
}

/** Whole documents. */
export const render = (text: string, around: Surroundings): string => {
  const out: Array<string> = []
  const lines = text.split("\n")
  const take = (more: (line: string) => boolean): ReadonlyArray<string> => {
    const taken: Array<string> = []
    while (lines.length > 0 && more(lines[0]!)) taken.push(lines.shift()!)
    return taken
  }
  while (lines.length > 0) {
    const line = lines[0]!
    if (line.trim() === "") lines.shift()
    else if (line.startsWith("```")) {
      lines.shift()
      out.push(code(take((next) => !next.startsWith("```")).join("\n"), line.slice(3).trim()))
      lines.shift()
    } else if (/^#{1,4} /.test(line)) out.push(heading(lines.shift()!, around))
    else if (line.startsWith("|")) out.push(table(take((next) => next.startsWith("|")), around))
    else if (line.startsWith("<")) out.push(take((next) => next.trim() !== "").join("\n"))
    else if (/^(- |\d+\. )/.test(line)) {
      out.push(list(take((next) => /^(- |\d+\. | {2,}\S)/.test(next)), around))
    } else {
      const said = take((next) => next.trim() !== "" && !/^(```|#{1,4} |\||- |\d+\. )/.test(next))
      // Whatever begins like a block and is none is text.
      out.push(`<p>${inline((said.length > 0 ? said : [lines.shift()!]).join("\n"), around)}</p>`)
    }
  }
  return out.join("\n")
}
