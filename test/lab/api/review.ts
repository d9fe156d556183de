import type { Reply } from "./handlers.js";
import { asObject } from "./object.js";
import type { Json } from "./object.js";
import { badRequest } from "./status.js";

const PATH = /^\/apis\/authorization\.k8s\.io\/v1\/(?:selfsubjectaccessreviews|subjectaccessreviews)$/u;

/** Whether the path asks what a user may do. */
export function isReview(path: string): boolean {
  return PATH.test(path);
}

/** The answer to an access review: everybody with credentials may do everything; undefined for other requests. */
export function accessReview(method: string, path: string, body: Buffer): Reply | undefined {
  if (method !== "POST" || !isReview(path)) return undefined;
  // Go's typed clients ask in protobuf; they look at the status only.
  const text = body.toString("utf8");
  const review = text.startsWith("{") ? parse(text) : { kind: path.includes("/self") ? "SelfSubjectAccessReview" : "SubjectAccessReview", apiVersion: "authorization.k8s.io/v1", metadata: {}, spec: {} };
  return { code: 201, json: JSON.stringify({ ...asObject(review), status: { allowed: true } }) };
}

function parse(text: string): Json {
  try {
    // JSON.parse makes nothing but JSON.
    return JSON.parse(text) as Json;
  } catch (error) {
    throw badRequest(`access review: ${error instanceof Error ? error.message : String(error)}`);
  }
}
