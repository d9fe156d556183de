import { parseIp, type IpAddress } from "../lib/ip.js";
import type { SoapCall } from "./soap.js";

/** Faults of WANIPConnection:1, WANIPConnection:2 and WANIPv6FirewallControl:1 that mean something to us. */
export const IGD_ERROR = {
  /** Also of routers in secure mode, for an address other than the sender's. */
  notAuthorized: 606,
  /** There is nothing to be let through. */
  firewallDisabled: 702,
  noSuchPinhole: 704,
  noSuchEntry: 714,
  conflictInMappingEntry: 718,
  samePortValuesRequired: 724,
  onlyPermanentLeases: 725,
  noPortMapsAvailable: 728,
  conflictWithOtherMechanisms: 729,
} as const;

export type IgdProtocol = "TCP" | "UDP";

/** What is asked of a router that translates addresses. */
export interface PortMapping {
  readonly externalPort: number;
  readonly protocol: IgdProtocol;
  readonly internalPort: number;
  readonly internalClient: IpAddress;
  /** Plain ASCII: routers give entities back as they came. */
  readonly description: string;
  /** 0: for ever, or in version 2 a week. */
  readonly leaseSeconds: number;
}

/** What is asked of a router that only filters (WANIPv6FirewallControl:1, 2.5.3). */
export interface Pinhole {
  readonly protocol: IgdProtocol;
  readonly internalPort: number;
  readonly internalClient: IpAddress;
  /** 1 to 86400. */
  readonly leaseSeconds: number;
}

/** A mapping as the router has it. */
export interface MappingEntry {
  readonly internalPort: number;
  readonly internalClient: IpAddress;
  readonly enabled: boolean;
  readonly description: string;
  /** What is left; 0: for ever. */
  readonly leaseSeconds: number;
}

type Values = ReadonlyMap<string, string>;

/** IANA protocol numbers. */
const PROTOCOL_NUMBER: Readonly<Record<IgdProtocol, string>> = { TCP: "6", UDP: "17" };
const ANY_HOST = "";
const MAX_PORT = 0xffff;
const MAX_SECONDS = 0xffff_ffff;
const MAX_PINHOLE = 0xffff;

/** Exactly this external port. Asked again by the same sender for the same target it lasts longer. */
export function addPortMapping(serviceType: string, mapping: PortMapping): SoapCall {
  return { serviceType, action: "AddPortMapping", parameters: mappingParameters(mapping) };
}

/** This external port, or another one where it is taken. WANIPConnection:2 only; the answer is read by `reservedPortOf`. */
export function addAnyPortMapping(serviceType: string, mapping: PortMapping): SoapCall {
  return { serviceType, action: "AddAnyPortMapping", parameters: mappingParameters(mapping) };
}

export function deletePortMapping(serviceType: string, mapping: Pick<PortMapping, "externalPort" | "protocol">): SoapCall {
  return { serviceType, action: "DeletePortMapping", parameters: keyParameters(mapping) };
}

/** The answer is read by `mappingEntryOf`. */
export function getSpecificPortMappingEntry(serviceType: string, mapping: Pick<PortMapping, "externalPort" | "protocol">): SoapCall {
  return { serviceType, action: "GetSpecificPortMappingEntry", parameters: keyParameters(mapping) };
}

/** The answer is read by `externalAddressOf`. */
export function getExternalIpAddress(serviceType: string): SoapCall {
  return { serviceType, action: "GetExternalIPAddress", parameters: [] };
}

/** The answer is read by `uptimeOf`: a time that has become less says that the connection, and maybe the router, was started again. */
export function getStatusInfo(serviceType: string): SoapCall {
  return { serviceType, action: "GetStatusInfo", parameters: [] };
}

/** Of WANIPv6FirewallControl: whether the firewall is there, and lets pinholes be made. */
export function getFirewallStatus(serviceType: string): SoapCall {
  return { serviceType, action: "GetFirewallStatus", parameters: [] };
}

/** From anywhere to this port. The answer is read by `uniqueIdOf`. */
export function addPinhole(serviceType: string, { protocol, internalPort, internalClient, leaseSeconds }: Pinhole): SoapCall {
  const parameters = [
    ["RemoteHost", ANY_HOST],
    ["RemotePort", "0"],
    ["InternalClient", internalClient],
    ["InternalPort", `${internalPort}`],
    ["Protocol", PROTOCOL_NUMBER[protocol]],
    ["LeaseTime", `${leaseSeconds}`],
  ] as const;
  return { serviceType, action: "AddPinhole", parameters };
}

export function updatePinhole(serviceType: string, uniqueId: number, leaseSeconds: number): SoapCall {
  const parameters = [
    ["UniqueID", `${uniqueId}`],
    ["NewLeaseTime", `${leaseSeconds}`],
  ] as const;
  return { serviceType, action: "UpdatePinhole", parameters };
}

export function deletePinhole(serviceType: string, uniqueId: number): SoapCall {
  return { serviceType, action: "DeletePinhole", parameters: [["UniqueID", `${uniqueId}`]] };
}

/** The external port that AddAnyPortMapping has taken. */
export function reservedPortOf(values: Values): number | undefined {
  const port = numberOf(values.get("NewReservedPort"), MAX_PORT);
  return port === 0 ? undefined : port;
}

/** The router's own address to the outside; undefined where it has none (empty, or 0.0.0.0). */
export function externalAddressOf(values: Values): IpAddress | undefined {
  const address = parseIp(values.get("NewExternalIPAddress") ?? "");
  return address === "0.0.0.0" || address === "::" ? undefined : address;
}

/** Seconds that the connection has been up. */
export function uptimeOf(values: Values): number | undefined {
  return numberOf(values.get("NewUptime"), MAX_SECONDS);
}

export function uniqueIdOf(values: Values): number | undefined {
  return numberOf(values.get("UniqueID"), MAX_PINHOLE);
}

/** Undefined where the router's answer has no target. */
export function mappingEntryOf(values: Values): MappingEntry | undefined {
  const internalPort = numberOf(values.get("NewInternalPort"), MAX_PORT);
  const internalClient = parseIp(values.get("NewInternalClient") ?? "");
  if (internalPort === undefined || internalClient === undefined) return undefined;
  return {
    internalPort,
    internalClient,
    enabled: /^(1|true|yes)$/i.test(values.get("NewEnabled") ?? ""),
    description: values.get("NewPortMappingDescription") ?? "",
    leaseSeconds: numberOf(values.get("NewLeaseDuration"), MAX_SECONDS) ?? 0,
  };
}

function keyParameters({ externalPort, protocol }: Pick<PortMapping, "externalPort" | "protocol">): SoapCall["parameters"] {
  return [
    ["NewRemoteHost", ANY_HOST],
    ["NewExternalPort", `${externalPort}`],
    ["NewProtocol", protocol],
  ];
}

function mappingParameters(mapping: PortMapping): SoapCall["parameters"] {
  return [
    ...keyParameters(mapping),
    ["NewInternalPort", `${mapping.internalPort}`],
    ["NewInternalClient", mapping.internalClient],
    ["NewEnabled", "1"],
    ["NewPortMappingDescription", mapping.description],
    ["NewLeaseDuration", `${mapping.leaseSeconds}`],
  ];
}

function numberOf(text: string | undefined, most: number): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text) || Number(text) > most) return undefined;
  return Number(text);
}
