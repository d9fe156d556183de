import { childOf, escapeXml, parseXml, textOf, type XmlElement } from "./xml.js";

/** An action to be called on a service. */
export interface SoapCall {
  /** `urn:schemas-upnp-org:service:WANIPConnection:1`. */
  readonly serviceType: string;
  readonly action: string;
  /** In the order that the service's definition has: some routers count instead of reading names. */
  readonly parameters: readonly (readonly [name: string, value: string])[];
}

/** What goes into an HTTP POST to the control URL. */
export interface SoapRequest {
  readonly headers: Readonly<Record<"content-type" | "soapaction", string>>;
  readonly body: string;
}

/** `fault`: the router refused, with its own number (0 where it named none) and words. */
export type SoapReply =
  | { readonly type: "result"; readonly values: ReadonlyMap<string, string> }
  | { readonly type: "fault"; readonly code: number; readonly text: string };

/** Thrown for an answer that is neither a result nor a fault. */
export class SoapError extends Error {
  override readonly name = "SoapError";
}

/** What goes to a person of a router's text. */
const MAX_TEXT_LENGTH = 200;
const NO_CODE = 0;

/** UPnP Device Architecture 2.0, 3.2.1. */
export function encodeSoap({ serviceType, action, parameters }: SoapCall): SoapRequest {
  const inner = parameters.map(([name, value]) => `<${name}>${escapeXml(value)}</${name}>`).join("");
  const body =
    '<?xml version="1.0"?>\r\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">' +
    `<s:Body><u:${action} xmlns:u="${escapeXml(serviceType)}">${inner}</u:${action}></s:Body></s:Envelope>\r\n`;
  return { headers: { "content-type": 'text/xml; charset="utf-8"', soapaction: `"${serviceType}#${action}"` }, body };
}

/** Reads the body of an answer to `action`, whatever its HTTP status: a fault comes with 500. Throws XmlError, or SoapError where it is something else. */
export function decodeSoap(body: string, action: string): SoapReply {
  const root = parseXml(body);
  const content = childOf(root, "Body");
  if (root.name !== "Envelope" || content === undefined) throw new SoapError(`${root.name} is no SOAP envelope`);
  const fault = childOf(content, "Fault");
  if (fault !== undefined) return faultOf(fault);
  const response = childOf(content, `${action}Response`);
  if (response === undefined) throw new SoapError(`no answer to ${action}`);
  return { type: "result", values: new Map(response.children.map(({ name, text }) => [name, text])) };
}

/** UPnP Device Architecture 2.0, 3.2.2: the number and the words are in the detail of the fault. */
function faultOf(fault: XmlElement): SoapReply {
  const detail = childOf(fault, "detail");
  const error = detail === undefined ? undefined : childOf(detail, "UPnPError");
  const code = /^\d{1,5}$/.exec(error === undefined ? "" : (textOf(error, "errorCode") ?? ""))?.[0];
  const words = error === undefined ? undefined : textOf(error, "errorDescription");
  const text = (words ?? textOf(fault, "faultstring") ?? "").slice(0, MAX_TEXT_LENGTH);
  // eslint-disable-next-line no-control-regex -- what cannot be shown
  return { type: "fault", code: code === undefined ? NO_CODE : Number(code), text: text.replaceAll(/[\u0000-\u001f\u007f-\u009f]+/g, " ") };
}
