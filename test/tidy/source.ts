// Reads TypeScript well enough for house rules: what is code and what is comment or text, and what a module imports.

/** An import or re-export. */
export interface Import {
  readonly specifier: string
  readonly line: number
  /** Erased by the compiler: it orders nothing at run time. */
  readonly typeOnly: boolean
}

/** After these a `/` begins a regular expression; after a name, a number or a closing bracket it divides. */
const BEFORE_REGEX = /(?:^|[=(,:;[!&|?{}+\-*%~^<>]|\breturn|\btypeof|\bcase|=>)\s*$/

/**
 * The text with comments and the contents of strings replaced by spaces, so that lines and columns stay.
 * Code inside `${…}` of a template stays.
 */
export function codeOf(text: string): string {
  let out = ''
  let i = 0
  /** For each open `${`: how many braces were opened inside it. */
  const templates: number[] = []
  const blank = (from: number, to: number): string => text.slice(from, to).replace(/[^\n]/g, ' ')

  /** From just after a backtick or a closing `}` to the end of the template or its next `${`. */
  const template = (from: number): void => {
    let end = from
    while (end < text.length && text[end] !== '`' && !text.startsWith('${', end)) {
      end += text[end] === '\\' ? 2 : 1
    }
    out += blank(from, end)
    if (text.startsWith('${', end)) {
      templates.push(0)
      out += '${'
      i = end + 2
    } else {
      out += text.slice(end, end + 1)
      i = end + 1
    }
  }

  while (i < text.length) {
    const char = text[i]!
    if (text.startsWith('//', i)) {
      const end = indexOf(text, '\n', i)
      out += blank(i, end)
      i = end
    } else if (text.startsWith('/*', i)) {
      const end = indexOf(text, '*/', i + 2) + 2
      out += blank(i, end)
      i = end
    } else if (char === "'" || char === '"') {
      let end = i + 1
      while (end < text.length && text[end] !== char && text[end] !== '\n') {
        end += text[end] === '\\' ? 2 : 1
      }
      out += char + blank(i + 1, end) + text.slice(end, end + 1)
      i = end + 1
    } else if (char === '`') {
      out += char
      template(i + 1)
    } else if (char === '}' && templates.at(-1) === 0) {
      templates.pop()
      out += char
      template(i + 1)
    } else if (char === '/' && BEFORE_REGEX.test(out.slice(-40))) {
      let end = i + 1
      for (let inClass = false; end < text.length && text[end] !== '\n'; end++) {
        if (text[end] === '\\') end++
        else if (text[end] === '[') inClass = true
        else if (text[end] === ']') inClass = false
        else if (text[end] === '/' && !inClass) break
      }
      out += `/${blank(i + 1, end)}/`
      i = end + 1
    } else {
      if (templates.length > 0 && char === '{') templates[templates.length - 1]! += 1
      if (templates.length > 0 && char === '}') templates[templates.length - 1]! -= 1
      out += char
      i += 1
    }
  }
  return out
}

/** In code whose strings are blanked: what looks like an import inside a text is none. */
const IMPORT =
  /(?:^|[;\n])\s*(?:import|export)\s+(type\s+)?(?:[\w*\s{},$]+?\s+from\s+)?(['"])( *)\2|\bimport\s*\(\s*(['"])( *)\4/g

/** What a module imports: static and dynamic imports and re-exports. */
export function importsOf(text: string): Import[] {
  return [...codeOf(text).matchAll(IMPORT)].map(match => {
    const end = match.index + match[0].length - 1
    const specifier = text.slice(end - (match[3] ?? match[5]!).length, end)
    return {
      specifier,
      line: text.slice(0, end).split('\n').length,
      typeOnly: match[1] !== undefined,
    }
  })
}

function indexOf(text: string, part: string, from: number): number {
  const at = text.indexOf(part, from)
  return at < 0 ? text.length : at
}
