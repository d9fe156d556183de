/** What the kernel knows of a frame beside its octets (linux/if_packet.h: 0 for this host, 1 broadcast, 3 for another host, 4 outgoing). */
export interface FrameFacts {
  readonly packetType: number;
}

const ANCILLARY_PACKET_TYPE = 0xffff_f004;

/** Runs a program of classic BPF (Documentation/networking/filter.rst), with the instructions that filters here use: how many octets are let through. A load behind the end is 0, as in the kernel. */
export function runFilter(program: Uint8Array, data: Uint8Array, { packetType }: FrameFacts = { packetType: 0 }): number {
  const code = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const input = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const load = (at: number, octets: 1 | 2 | 4): number | undefined => {
    if (at === ANCILLARY_PACKET_TYPE) return packetType;
    if (at + octets > data.length) return undefined;
    return octets === 1 ? input.getUint8(at) : octets === 2 ? input.getUint16(at) : input.getUint32(at);
  };
  let [a, x] = [0, 0];
  for (let at = 0; at < program.length / 8; at += 1) {
    const operand = code.getUint32(at * 8 + 4, true);
    const jump = (yes: boolean): void => void (at += code.getUint8(at * 8 + (yes ? 2 : 3)));
    const operation = code.getUint16(at * 8, true);
    let loaded: number | undefined = a;
    if (operation === 0x20) loaded = load(operand, 4);
    else if (operation === 0x28) loaded = load(operand, 2);
    else if (operation === 0x30) loaded = load(operand, 1);
    else if (operation === 0x48) loaded = load(x + operand, 2);
    else if (operation === 0xb1) x = 4 * ((load(operand, 1) ?? 0) & 0xf);
    else if (operation === 0x07) x = a;
    else if (operation === 0x15) jump(a === operand);
    else if (operation === 0x1d) jump(a === x);
    else if (operation === 0x45) jump((a & operand) !== 0);
    else if (operation === 0x06) return operand;
    else throw new Error(`instruction ${operation.toString(16)}`);
    if (loaded === undefined) return 0;
    a = loaded;
  }
  throw new Error("no end");
}
