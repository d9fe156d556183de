import { test } from "vitest";
import { opensAndCloses } from "./upnp.js";

// The other two of upnp.test.ts.
test.each([
  ["IGD 2, no secure mode", { igd1: false, secure: false }],
  ["IGD 1, secure mode", { igd1: true, secure: true }],
])("a gateway of %s opens the ports of an annotated Service to the Internet, and closes them when the Service is deleted", async (_name, options) => {
  await opensAndCloses(options);
});
