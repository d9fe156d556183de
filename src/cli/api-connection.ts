import { accessSync } from "node:fs";
import { ConfigError, examineSettings } from "../config/load.js";
import type { Settings } from "../config/settings.js";
import type { ConnectionConfig } from "../kube/config.js";
import { messageOf } from "../lib/errors.js";
import { connection } from "./plan-config.js";

/** How a command that asks the API itself finds it. */
export interface ApiOptions {
  /** `--kubeconfig`. */
  readonly kubeconfig?: string | undefined;
  /** The environment: KUBECONFIG, and the settings of the daemon, which are there where the command runs in its container. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * By `--kubeconfig`, then the first file of KUBECONFIG, then as the daemon would with this environment. A file that is named to us must be there: the next
 * place could belong to another cluster. Throws ConfigError.
 */
export function apiConnection({ kubeconfig, env }: ApiOptions): ConnectionConfig {
  if (kubeconfig !== undefined) return { kubeconfigPath: readable("--kubeconfig", kubeconfig) };
  const first = env["KUBECONFIG"]?.split(":").find((path) => path !== "");
  if (first !== undefined) return { kubeconfigPath: readable("KUBECONFIG", first) };
  const { settings } = examineSettings({ env });
  // A value that does not parse is missing; the daemon would say so, and who only asks does not need it.
  const { kubeconfig: path, kubernetesAddress, controlPlane = false, address = [], port = 6443 } = settings as Partial<Settings>;
  return connection({ kubeconfig: path, kubernetesAddress, controlPlane, address, port });
}

function readable(name: string, path: string): string {
  try {
    accessSync(path);
    return path;
  } catch (error) {
    throw new ConfigError([`${name}="${path}": expected a file that can be read: ${(error as NodeJS.ErrnoException).code ?? messageOf(error)}`]);
  }
}
