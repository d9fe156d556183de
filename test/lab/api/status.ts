import type { Json, JsonObject } from "./object.js";

/** One entry of details.causes of a Status. */
export type Cause = { readonly reason: string; readonly message: string; readonly field: string };

/** What a Status says besides its message. */
export type StatusFields = {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  readonly details?: JsonObject | undefined;
};

/** A request which ends in a Status object of kind Failure. */
export class StatusError extends Error {
  readonly code: number;
  readonly body: JsonObject;
  readonly retryAfterSeconds: number | undefined;

  constructor(fields: StatusFields) {
    super(fields.message);
    this.code = fields.code;
    const retry: Json | undefined = fields.details?.["retryAfterSeconds"];
    this.retryAfterSeconds = typeof retry === "number" ? retry : undefined;
    this.body = {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: fields.message,
      reason: fields.reason,
      ...(fields.details === undefined ? {} : { details: fields.details }),
      code: fields.code,
    };
  }
}

/** The plural and the group of a resource, as error texts name it. */
export type Named = { readonly group: string; readonly plural: string; readonly kind: string };

const qualified = (of: Named): string => (of.group === "" ? of.plural : `${of.plural}.${of.group}`);

const details = (of: Named, name: string): JsonObject => ({ name, ...(of.group === "" ? {} : { group: of.group }), kind: of.plural });

/** 404 for an object. */
export function notFound(of: Named, name: string): StatusError {
  return new StatusError({ code: 404, reason: "NotFound", message: `${qualified(of)} "${name}" not found`, details: details(of, name) });
}

/** 404 for a path which no resource serves. */
export function noSuchPath(): StatusError {
  return new StatusError({ code: 404, reason: "NotFound", message: "the server could not find the requested resource", details: {} });
}

/** 409 for a name which is taken. */
export function alreadyExists(of: Named, name: string): StatusError {
  return new StatusError({ code: 409, reason: "AlreadyExists", message: `${qualified(of)} "${name}" already exists`, details: details(of, name) });
}

/** 409 for a stale resourceVersion, or a failed precondition when a message is given. */
export function conflict(of: Named, name: string, message?: string): StatusError {
  const why = message ?? "the object has been modified; please apply your changes to the latest version and try again";
  return new StatusError({ code: 409, reason: "Conflict", message: `Operation cannot be fulfilled on ${qualified(of)} "${name}": ${why}`, details: details(of, name) });
}

/** 422 with one cause per invalid field. */
export function invalid(of: Named, name: string, causes: readonly Cause[]): StatusError {
  const texts = causes.map((cause) => `${cause.field}: ${cause.message}`);
  const kind = of.group === "" ? of.kind : `${of.kind}.${of.group}`;
  const message = `${kind} "${name}" is invalid: ${texts.length === 1 ? texts[0] : `[${texts.join(", ")}]`}`;
  return new StatusError({ code: 422, reason: "Invalid", message, details: { ...details(of, name), kind: of.kind, causes } });
}

/** 400. */
export function badRequest(message: string): StatusError {
  return new StatusError({ code: 400, reason: "BadRequest", message });
}

/** 401: no user for these credentials. */
export function unauthorized(): StatusError {
  return new StatusError({ code: 401, reason: "Unauthorized", message: "Unauthorized" });
}

/** 403 with the whole text. */
export function forbidden(message: string, detailsOf?: JsonObject): StatusError {
  return new StatusError({ code: 403, reason: "Forbidden", message, details: detailsOf });
}

/** 405. */
export function notAllowed(): StatusError {
  return new StatusError({ code: 405, reason: "MethodNotAllowed", message: "the server does not allow this method on the requested resource", details: {} });
}

/** 410: the version asked for is not in the history any more. */
export function expired(message: string): StatusError {
  return new StatusError({ code: 410, reason: "Expired", message });
}

/** 415. */
export function unsupportedMedia(message: string): StatusError {
  return new StatusError({ code: 415, reason: "UnsupportedMediaType", message });
}

/** 504: the version asked for lies in the future. */
export function tooLargeVersion(wanted: number, current: number): StatusError {
  const message = `Timeout: Too large resource version: ${wanted}, current: ${current}`;
  return new StatusError({ code: 504, reason: "Timeout", message, details: { causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }], retryAfterSeconds: 1 } });
}

/** A cause for a field which must be there. */
export const required = (field: string, why?: string): Cause => ({ reason: "FieldValueRequired", message: why === undefined ? "Required value" : `Required value: ${why}`, field });

/** A cause for a field with a bad value. */
export const badValue = (field: string, value: Json, why: string): Cause => ({ reason: "FieldValueInvalid", message: `Invalid value: ${JSON.stringify(value)}: ${why}`, field });

/** A cause for a field which may not be there. */
export const notHere = (field: string, why: string): Cause => ({ reason: "FieldValueForbidden", message: `Forbidden: ${why}`, field });

/** A cause for a value outside of a closed list. */
export const unsupported = (field: string, value: Json, known: readonly string[]): Cause => ({
  reason: "FieldValueNotSupported",
  message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${known.map((one) => JSON.stringify(one)).join(", ")}`,
  field,
});
