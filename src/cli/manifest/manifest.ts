import { ConfigError, type Loaded, type SettingsInput } from "../../config/load.js";
import { loadAll } from "../config-file.js";
import { EXIT, type CommandIo } from "../io.js";
import { givenVariables, type Variable } from "./given.js";
import { yamlOf } from "./objects.js";
import { daemonSetOf, podOf, type Place } from "./pod.js";
import { rbacOf } from "./rbac.js";
import { systemdUnit } from "./systemd.js";

/** What `vip manifest` can print. */
export type ManifestKind = "pod" | "daemonset" | "rbac" | "systemd";
export const MANIFEST_KINDS: readonly ManifestKind[] = ["pod", "daemonset", "rbac", "systemd"];

export interface ManifestOptions {
  readonly input: SettingsInput;
  /** This program's; also the tag of an image that has none. */
  readonly version: string;
  readonly image?: string | undefined;
  readonly inCluster?: boolean;
  readonly taint?: boolean;
  /** rbac: a Role, which reaches the namespace `svc_namespace` only. */
  readonly role?: boolean;
  readonly romana?: boolean;
}

/** There is no published image: this is what one made by oneself is called where the node keeps it. */
export const IMAGE = "localhost/vip";

/** `vip manifest KIND`: the manifest on stdout and nothing else there; warnings on stderr. Exit code 1 and an empty stdout where it could not work. */
export function runManifest(kind: ManifestKind, options: ManifestOptions, io: CommandIo): number {
  try {
    const loaded = loadAll(options.input);
    const text = manifestOf(kind, loaded, options);
    for (const warning of loaded.warnings) io.err(`vip: ${warning}`);
    io.out(text);
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const problem of error.problems) io.err(`vip: ${problem}`);
    return EXIT.error;
  }
}

/** The manifest as text. Throws ConfigError. */
export function manifestOf(kind: ManifestKind, loaded: Loaded, options: ManifestOptions): string {
  const { settings } = loaded;
  if (kind === "rbac") {
    if (options.role === true && settings.serviceNamespace === undefined) throw new ConfigError(["--role: expected svc_namespace to be set, for a Role reaches one namespace only"]);
    return yamlOf(rbacOf(settings, { romana: options.romana ?? false }));
  }
  const inCluster = options.inCluster ?? false;
  if (inCluster && kind !== "daemonset") throw new ConfigError([inClusterRefused(kind)]);
  const variables = [...givenVariables(loaded), ...placeVariables(loaded, inCluster)];
  if (kind === "systemd") return systemdUnit(settings, variables);
  if (kind === "daemonset" && settings.nodeName !== undefined) throw new ConfigError([`${loaded.sources.nodeName.name}="${settings.nodeName}": expected none, every node of a DaemonSet needs a name of its own`]);
  const place: Place = { kind, image: imageOf(options), inCluster, taint: options.taint ?? false, version: options.version };
  const parts = { settings, variables };
  return yamlOf([kind === "pod" ? podOf(parts, place) : daemonSetOf(parts, place)]);
}

function inClusterRefused(kind: ManifestKind): string {
  return kind === "pod"
    ? "--inCluster: expected a DaemonSet, for kubelet gives a static pod no ServiceAccount, Secret or ConfigMap; it reads a kubeconfig of the node instead (--k8sConfigPath)"
    : "--inCluster: expected a DaemonSet, a unit of systemd is not in the cluster";
}

/** The kubeconfig of a control-plane node names the VIP that is to be held: this node's own API server is asked instead. */
export function placeVariables({ settings, sources }: Pick<Loaded, "settings" | "sources">, inCluster: boolean): readonly Variable[] {
  if (!settings.controlPlane || inCluster || sources.kubernetesAddress.kind !== "default") return [];
  return [{ name: "kubernetes_addr", value: `127.0.0.1:${settings.port}` }];
}

/** With the version as tag where it has neither tag nor digest. */
export function imageOf({ image = IMAGE, version }: Pick<ManifestOptions, "image" | "version">): string {
  return /[:@][^/]*$/.test(image) ? image : `${image}:${version}`;
}
