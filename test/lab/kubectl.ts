import { existsSync } from "node:fs";
import { join } from "node:path";
import { run, type Finished } from "./command.js";
import type { Lab } from "./lab.js";

/** Where the package of the distribution puts it. */
const KUBECTL = "/usr/bin/kubectl";

/** Whether there is a kubectl: tests that need one are skipped without it. */
export const HAVE_KUBECTL = existsSync(KUBECTL);

/** How kubectl is run. */
export interface KubectlOptions {
  /** A manifest for `-f -`; an object is sent as JSON. */
  readonly input?: string | object;
  readonly namespace?: string;
  /** Return the exit code instead of throwing when it is not 0. Default false. */
  readonly mayFail?: boolean;
}

/** Runs kubectl as the administrator of the lab's API, from where the tests run: its way to the API is never cut. Throws CommandError with its stderr. */
export async function kubectl(lab: Lab, args: readonly string[], { input, namespace = "default", mayFail = false }: KubectlOptions = {}): Promise<Finished> {
  const common = ["--kubeconfig", join(lab.dir, "api/admin.conf"), "--cache-dir", join(lab.dir, "kubectl"), "--namespace", namespace];
  const text = typeof input === "object" ? JSON.stringify(input) : (input ?? "");
  return await run([KUBECTL, ...common, ...args], { input: text, mayFail, env: { HOME: lab.dir, KUBECONFIG: "" } });
}
