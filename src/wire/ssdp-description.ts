import { childOf, parseXml, textOf, type XmlElement } from "./xml.js";

/** A service of a device, with the absolute URL at which its actions are called. */
export interface UpnpService {
  readonly serviceType: string;
  readonly controlUrl: string;
}

/** What a description says of a router (UPnP Device Architecture 2.0, 2.3). */
export interface UpnpDescription {
  readonly deviceType: string;
  readonly friendlyName: string | undefined;
  readonly modelName: string | undefined;
  /** `uuid:...`, the same after a restart. */
  readonly udn: string | undefined;
  /** Of the device and of all devices in it, in order. */
  readonly services: readonly UpnpService[];
}

/** The services that open a router, best first. */
export interface GatewayServices {
  /** WANIPConnection:2 and :1, WANPPPConnection:1: port mappings. Several where the router has several ways out. */
  readonly mapping: readonly UpnpService[];
  /** WANIPv6FirewallControl:1: pinholes. */
  readonly pinholes: readonly UpnpService[];
}

export const WAN_IP_CONNECTION_2 = "urn:schemas-upnp-org:service:WANIPConnection:2";
export const WAN_IP_CONNECTION_1 = "urn:schemas-upnp-org:service:WANIPConnection:1";
export const WAN_PPP_CONNECTION_1 = "urn:schemas-upnp-org:service:WANPPPConnection:1";
export const WAN_IPV6_FIREWALL_CONTROL_1 = "urn:schemas-upnp-org:service:WANIPv6FirewallControl:1";

/** Thrown for a document that describes no device. */
export class DescriptionError extends Error {
  override readonly name = "DescriptionError";
}

const MAPPING_TYPES = [WAN_IP_CONNECTION_2, WAN_IP_CONNECTION_1, WAN_PPP_CONNECTION_1];
const MAX_NAME_LENGTH = 100;

/**
 * Reads the description found at `location`. A control URL is relative to URLBase, which only version 1.0 has, or else to `location`. A service whose
 * URL cannot be one, or is not on the host of `location`, is left out: a router answers for itself. Throws XmlError or DescriptionError.
 */
export function decodeDescription(source: string, location: string): UpnpDescription {
  const root = parseXml(source);
  const device = childOf(root, "device");
  const deviceType = device === undefined ? undefined : textOf(device, "deviceType");
  if (device === undefined || deviceType === undefined) throw new DescriptionError(`${root.name} describes no device`);
  const base = absolute(textOf(root, "URLBase") ?? "", location) ?? location;
  return {
    deviceType,
    friendlyName: textOf(device, "friendlyName")?.slice(0, MAX_NAME_LENGTH),
    modelName: textOf(device, "modelName")?.slice(0, MAX_NAME_LENGTH),
    udn: textOf(device, "UDN")?.slice(0, MAX_NAME_LENGTH),
    services: servicesOf(device, base).filter(({ controlUrl }) => sameHost(controlUrl, location)),
  };
}

export function gatewayServices({ services }: UpnpDescription): GatewayServices {
  return {
    mapping: MAPPING_TYPES.flatMap((type) => services.filter(({ serviceType }) => serviceType === type)),
    pinholes: services.filter(({ serviceType }) => serviceType === WAN_IPV6_FIREWALL_CONTROL_1),
  };
}

/**
 * Whether both are plain HTTP URLs of one host, whatever the port. For a LOCATION against the sender of its datagram (`http://192.0.2.1/`), and for a redirect:
 * a router that points elsewhere would have us send requests to others in its name.
 */
export function sameHost(one: string, other: string): boolean {
  const [a, b] = [urlOf(one), urlOf(other)];
  return a !== undefined && b !== undefined && a.protocol === "http:" && b.protocol === "http:" && a.hostname === b.hostname && a.username === "" && b.username === "";
}

function servicesOf(device: XmlElement, base: string): readonly UpnpService[] {
  const own = (childOf(device, "serviceList")?.children ?? []).flatMap((service) => serviceOf(service, base));
  const inner = (childOf(device, "deviceList")?.children ?? []).flatMap((child) => servicesOf(child, base));
  return [...own, ...inner];
}

function serviceOf(service: XmlElement, base: string): readonly UpnpService[] {
  const serviceType = textOf(service, "serviceType");
  const controlUrl = absolute(textOf(service, "controlURL") ?? "", base);
  return serviceType === undefined || controlUrl === undefined ? [] : [{ serviceType, controlUrl }];
}

function absolute(text: string, base: string): string | undefined {
  return text === "" ? undefined : urlOf(text, base)?.href;
}

function urlOf(text: string, base?: string): URL | undefined {
  try {
    return new URL(text, base);
  } catch {
    // Not a URL: the caller goes without it.
    return undefined;
  }
}
