/** Reads server-sent events from a stream of text. `EventSource` cannot send a token. */

export interface Message {
  readonly event: string
  readonly data: string
}

/** Takes the next part of the text, and gives the messages that are whole. Comments give none. */
export const parser = (): (text: string) => ReadonlyArray<Message> => {
  let rest = ""
  return (text) => {
    rest += text
    const messages: Array<Message> = []
    for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
      let event = "message"
      const data: Array<string> = []
      for (const row of rest.slice(0, end).split("\n")) {
        if (row.startsWith("event:")) event = row.slice(6).trim()
        else if (row.startsWith("data:")) data.push(row.slice(row[5] === " " ? 6 : 5))
      }
      rest = rest.slice(end + 2)
      if (data.length > 0) messages.push({ event, data: data.join("\n") })
    }
    return messages
  }
}
