import type { KubeErrorCode, KubeErrorShape } from "../ports/kube.js";
import { fieldsOf, textOf } from "./raw.js";

/** Longest text of a server that goes into a message. */
const TEXT_LIMIT = 1000;

export interface KubeErrorOptions {
  readonly status?: number;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** What every call of this folder fails with, apart from an abort. */
export class KubeError extends Error implements KubeErrorShape {
  override readonly name = "KubeError";
  readonly code: KubeErrorCode;
  readonly status: number;
  /** From Retry-After (RFC 9110 10.2.3) or `details.retryAfterSeconds` of a 429 or 503. */
  readonly retryAfterMs: number | undefined;

  constructor(code: KubeErrorCode, message: string, options: KubeErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = options.status ?? 0;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Codes of a file that is there and may not be read. */
export function isDenial(code: string | undefined): boolean {
  return code === "EACCES" || code === "EPERM";
}

export interface Refusal {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly statusText: string;
  readonly retryAfter?: string | undefined;
  readonly body: string;
}

/** The error for an HTTP answer outside 2xx. The body is a `Status` object, or the text of some proxy. */
export function errorOfResponse(refusal: Refusal): KubeError {
  const status = statusObject(refusal.body);
  const text = (textOf(status["message"]) ?? refusal.body.trim()).slice(0, TEXT_LIMIT);
  const head = `${refusal.method} ${refusal.path}: ${refusal.status} ${refusal.statusText}`.trimEnd();
  return new KubeError(codeOf(refusal.status, textOf(status["reason"]), refusal.method), text === "" ? head : `${head}: ${text}`, {
    status: refusal.status,
    retryAfterMs: retryAfterOf(refusal, status),
  });
}

/** The error for an event of type ERROR in a watch; its object is a `Status`. */
export function errorOfStatus(path: string, object: unknown): KubeError {
  const status = fieldsOf(object);
  const code = typeof status["code"] === "number" ? status["code"] : 0;
  const text = textOf(status["message"])?.slice(0, TEXT_LIMIT) ?? "no message";
  const seconds = fieldsOf(status["details"])["retryAfterSeconds"];
  return new KubeError(codeOf(code, textOf(status["reason"]), "GET"), `GET ${path}: watch ended with ${code}: ${text}`, {
    status: code,
    retryAfterMs: typeof seconds === "number" && seconds > 0 ? seconds * 1000 : undefined,
  });
}

function codeOf(status: number, reason: string | undefined, method: string): KubeErrorCode {
  if (status === 409) return reason === "AlreadyExists" || (method === "POST" && reason !== "Conflict") ? "alreadyExists" : "conflict";
  const known = CODE_OF_STATUS.get(status);
  if (known !== undefined) return known;
  if (status >= 500 && status <= 599) return "server";
  return status >= 400 && status <= 499 ? "invalid" : "protocol";
}

const CODE_OF_STATUS: ReadonlyMap<number, KubeErrorCode> = new Map<number, KubeErrorCode>([
  [401, "unauthorized"],
  [403, "forbidden"],
  [404, "notFound"],
  [408, "timeout"],
  [410, "gone"],
  [429, "tooManyRequests"],
]);

function statusObject(body: string): Readonly<Record<string, unknown>> {
  try {
    return fieldsOf(JSON.parse(body));
  } catch {
    return {}; // a proxy answers in plain text or HTML; the text itself goes into the message
  }
}

function retryAfterOf(refusal: Refusal, status: Readonly<Record<string, unknown>>): number | undefined {
  if (refusal.status !== 429 && refusal.status !== 503) return undefined;
  // The API server sends seconds. A date would be compared with the clock of another machine: not used.
  const header = /^\d{1,6}$/.test(refusal.retryAfter ?? "") ? Number(refusal.retryAfter) : undefined;
  const seconds = header ?? fieldsOf(status["details"])["retryAfterSeconds"];
  return typeof seconds === "number" && seconds >= 0 ? seconds * 1000 : undefined;
}
