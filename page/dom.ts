/** Makes and changes elements. Texts are set as text, never as HTML: names of models and tenants can be anything. */

type Child = Node | string | null | undefined

interface Props {
  readonly class?: string
  readonly text?: string
  readonly on?: Readonly<Record<string, (event: Event) => void>>
  /** Attributes; `null` leaves one out. */
  readonly [attribute: string]: unknown
}

const svgTags = new Set(["svg", "path", "circle", "line", "rect"])

const make = (tag: string): Element =>
  svgTags.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag)

export const h = <T extends Element = HTMLElement>(tag: string, props: Props = {}, ...children: Array<Child>): T => {
  const element = make(tag)
  const { class: name, on, text, ...attributes } = props
  if (name !== undefined) element.setAttribute("class", name)
  if (text !== undefined) element.textContent = text
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(key, value === true ? "" : String(value))
    }
  }
  for (const [event, listener] of Object.entries(on ?? {})) element.addEventListener(event, listener)
  element.append(...children.filter((child) => child !== null && child !== undefined))
  return element as unknown as T
}

/** Touches an element only where its text is different. */
export const setText = (element: Element, text: string): void => {
  if (element.textContent !== text) element.textContent = text
}

export const setAttribute = (element: Element, name: string, value: string | undefined): void => {
  if (value === undefined) element.removeAttribute(name)
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value)
}

export const show = (element: Element, isShown: boolean): void => {
  const node = element as HTMLElement
  if (node.hidden === isShown) node.hidden = !isShown
}

/** One row of a list: its element, and a function that shows a newer value in it. */
export interface Row<A> {
  readonly element: Element
  readonly update: (value: A) => void
}

/** A list whose rows are kept by key: an element that has the focus keeps it. */
export const list = <A>(parent: Element, keyOf: (value: A) => string, create: (value: A) => Row<A>) => {
  const rows = new Map<string, Row<A> & { value?: A }>()
  return (values: ReadonlyArray<A>): void => {
    const keys = new Set(values.map(keyOf))
    for (const [key, row] of rows) {
      if (keys.has(key)) continue
      row.element.remove()
      rows.delete(key)
    }
    let at = parent.firstElementChild
    for (const value of values) {
      const key = keyOf(value)
      let row = rows.get(key)
      if (row === undefined) {
        row = create(value)
        rows.set(key, row)
      }
      if (row.value !== value) {
        row.update(value)
        row.value = value
      }
      if (row.element === at) at = at.nextElementSibling
      else parent.insertBefore(row.element, at)
    }
  }
}
