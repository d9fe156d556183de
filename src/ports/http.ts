import type { IpAddress } from "../lib/ip.js";

/** One plain HTTP request. */
export interface HttpRequest {
  readonly url: string;
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** The address of this node that it is sent from; undefined: the one that the kernel chooses. */
  readonly from: IpAddress | undefined;
  /** Octets of an answer's body, at the most. */
  readonly limit: number;
  /** For all of it, from the connection to the last octet, ms. */
  readonly timeoutMs: number;
}

/** Redirects are not followed. */
export interface HttpAnswer {
  readonly status: number;
  /** UTF-8. */
  readonly body: string;
  /** The header `location`. */
  readonly location: string | undefined;
}

/** Why no answer came: `size`: longer than the limit; `timeout`; `network`: refused, reset, no route, no such address here, or no HTTP. */
export type HttpErrorCode = "size" | "timeout" | "network";

/** Message: `POST http://192.0.2.1:5000/ctl: ECONNREFUSED`. */
export interface HttpErrorShape extends Error {
  readonly code: HttpErrorCode;
}

/** Plain HTTP to devices of the local network. */
export interface Http {
  /** Throws HttpErrorShape, or the reason of `signal`. */
  request(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer>;
}
