// Looks for words in the list of pages and names; the list is a script of its own, so that it works from a file too.
const box = document.querySelector("#search")
const found = document.querySelector("#found")
const base = document.documentElement.dataset.base

const rank = (entry, words) => {
  const title = entry.title.toLowerCase()
  const text = entry.text.toLowerCase()
  let sum = 0
  for (const word of words) {
    if (title === word) sum += 8
    else if (title.startsWith(word)) sum += 4
    else if (title.includes(word)) sum += 3
    else if (text.includes(word)) sum += 1
    else return 0
  }
  return sum
}

const shown = ({ kind, title, url }) => {
  const item = document.createElement("li")
  const link = document.createElement("a")
  link.href = base + url
  link.textContent = title
  const small = document.createElement("small")
  small.textContent = kind
  item.append(link, small)
  return item
}

box.addEventListener("input", () => {
  const words = box.value.toLowerCase().split(/\s+/).filter((word) => word !== "")
  const best = words.length === 0 ? [] : globalThis.searchIndex
    .map((entry) => ({ entry, rank: rank(entry, words) }))
    .filter((one) => one.rank > 0)
    .sort((a, b) => b.rank - a.rank)
    .slice(0, 30)
  found.replaceChildren(...best.map(({ entry }) => shown(entry)))
  if (words.length > 0 && best.length === 0) found.textContent = "nothing found"
})
box.addEventListener("keydown", (event) => {
  if (event.key === "Enter") found.querySelector("a")?.click()
})
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && event.target !== box) {
    event.preventDefault()
    box.focus()
  }
})
