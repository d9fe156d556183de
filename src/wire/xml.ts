import { SaxesParser } from "saxes";

/** An element: its local name, its text with the blanks around it cut off, its elements in order. Attributes and comments are not kept. */
export interface XmlElement {
  readonly name: string;
  readonly text: string;
  readonly children: readonly XmlElement[];
}

/** `size`: too long, too deep or too many elements; `syntax`: not well-formed; `doctype`: has a document type, which nobody here needs. */
export type XmlErrorCode = "size" | "syntax" | "doctype";

/** Thrown by `parseXml`, and the only thing that it throws. */
export class XmlError extends Error {
  override readonly name = "XmlError";

  constructor(
    readonly code: XmlErrorCode,
    what: string,
    options?: ErrorOptions,
  ) {
    super(what, options);
  }
}

/** Characters of a document; a description of a router has a few thousand. */
export const MAX_XML_LENGTH = 262_144;
const MAX_DEPTH = 32;
const MAX_ELEMENTS = 4096;

interface Building {
  readonly name: string;
  readonly text: string[];
  readonly children: XmlElement[];
}

/**
 * The root element of a document. Namespace prefixes are cut off unchecked, for routers mix them up. A document type is refused, and with it every
 * entity but the five of XML itself: nothing is expanded, nothing is fetched. Throws XmlError.
 */
export function parseXml(source: string): XmlElement {
  if (source.length > MAX_XML_LENGTH) throw new XmlError("size", `XML of ${source.length} characters`);
  const parser = new SaxesParser({ xmlns: false, position: true });
  const open: Building[] = [];
  let elements = 0;
  let root: XmlElement | undefined;
  parser.on("error", (error) => {
    throw new XmlError("syntax", error.message, { cause: error });
  });
  parser.on("doctype", () => {
    throw new XmlError("doctype", "XML with a document type");
  });
  parser.on("opentag", ({ name }) => {
    elements += 1;
    if (elements > MAX_ELEMENTS) throw new XmlError("size", `XML of more than ${MAX_ELEMENTS} elements`);
    if (open.length >= MAX_DEPTH) throw new XmlError("size", `XML of more than ${MAX_DEPTH} levels`);
    open.push({ name: name.slice(name.lastIndexOf(":") + 1), text: [], children: [] });
  });
  const addText = (text: string): void => void open.at(-1)?.text.push(text);
  parser.on("text", addText);
  parser.on("cdata", addText);
  parser.on("closetag", () => {
    const { name, text, children } = open.pop() ?? { name: "", text: [], children: [] };
    const element: XmlElement = { name, text: text.join("").trim(), children };
    const parent = open.at(-1);
    if (parent === undefined) root = element;
    else parent.children.push(element);
  });
  // Some routers send a line break in front of the declaration, where XML has none, or a NUL at the end.
  parser.write(source.trim().replace(/\0+$/, "")).close();
  if (root === undefined) throw new XmlError("syntax", "XML without an element");
  return root;
}

/** The first element of that name right below. */
export function childOf(element: XmlElement, name: string): XmlElement | undefined {
  return element.children.find((child) => child.name === name);
}

/** The text of the first element of that name right below, unless it is empty. */
export function textOf(element: XmlElement, name: string): string | undefined {
  const text = childOf(element, name)?.text;
  return text === "" ? undefined : text;
}

/** `text` as content of an element. Characters that XML cannot hold are left out. */
export function escapeXml(text: string): string {
  // eslint-disable-next-line no-control-regex -- these are what XML 1.0 2.2 excludes
  const allowed = text.replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "");
  return allowed.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;").replaceAll("'", "&apos;");
}
