import { ConfigError } from "../../config/load.js";
import type { Settings } from "../../config/settings.js";
import type { Variable } from "./given.js";
import { capabilities } from "./pod.js";

const RUN = "/run/vip";

/** A unit for systemd, as narrow as the pod: the same capabilities, the system read-only, no other system calls than a service needs. */
export function systemdUnit(settings: Settings, variables: readonly Variable[]): string {
  const names = capabilities(settings).map((name) => `CAP_${name}`).join(" ");
  const control = settings.controlDirectory ?? RUN;
  return [
    "[Unit]",
    "Description=Virtual IP addresses for Kubernetes",
    "After=network-online.target",
    "Wants=network-online.target",
    "StartLimitIntervalSec=0",
    "",
    "[Service]",
    "ExecStart=/usr/local/bin/vip start",
    ...variables.map(({ name, value }) => `Environment=${quoted(`${name}=${value}`, name)}`),
    "Restart=always",
    "RestartSec=1",
    "# A hand-over takes up to a second, a thousand of them (svc_election) some more; the rest is for an API that is slow.",
    "TimeoutStopSec=30",
    "OOMScoreAdjust=-900",
    "# What is written there has to outlive the process.",
    "RuntimeDirectory=vip",
    "RuntimeDirectoryMode=0700",
    "RuntimeDirectoryPreserve=yes",
    ...(control === RUN ? [] : [`ReadWritePaths=${quoted(control, "vip_control_dir")}`]),
    `AmbientCapabilities=${names}`,
    `CapabilityBoundingSet=${names}`,
    ...HARDENING,
    // The thread of BFD is real-time.
    ...(settings.bgp ? [] : ["RestrictRealtime=yes"]),
    "",
    "[Install]",
    "WantedBy=multi-user.target",
  ].join("\n");
}

const HARDENING: readonly string[] = [
  "NoNewPrivileges=yes",
  "ProtectSystem=strict",
  "ProtectHome=read-only",
  "PrivateTmp=yes",
  "PrivateDevices=yes",
  "ProtectClock=yes",
  "ProtectControlGroups=yes",
  "ProtectHostname=yes",
  "ProtectKernelLogs=yes",
  "ProtectKernelModules=yes",
  "ProtectKernelTunables=yes",
  "LockPersonality=yes",
  "RestrictNamespaces=yes",
  "RestrictSUIDSGID=yes",
  "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET",
  "SystemCallArchitectures=native",
  "SystemCallFilter=@system-service",
  "SystemCallErrorNumber=EPERM",
  "UMask=0077",
];

/** systemd.syntax(7), "Quoting"; systemd.unit(5), "Specifiers". */
function quoted(text: string, name: string): string {
  if (/[\n\r\0]/.test(text)) throw new ConfigError([`${name}: expected one line, a unit has no other values`]);
  return `"${text.replace(/[\\"]/g, (sign) => `\\${sign}`).replaceAll("%", "%%")}"`;
}
