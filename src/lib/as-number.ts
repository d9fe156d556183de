/** Stands for numbers that need four octets towards speakers that know only two (RFC 6793): nobody's own number. */
export const AS_TRANS = 23_456;

const MOST = 0xffff_fffe;

/** A usable AS number, plain or as `1.10` (RFC 5396); undefined for all else: 0 (RFC 7607), AS_TRANS and the last one (RFC 7300). */
export function parseAs(text: string): number | undefined {
  const [, high, low = ""] = /^(?:(\d{1,5})\.)?(\d{1,10})$/.exec(text) ?? [];
  const number = high === undefined ? Number(low === "" ? 0 : low) : Number(high) > 65_535 || Number(low) > 65_535 ? 0 : Number(high) * 65_536 + Number(low);
  return number >= 1 && number <= MOST && number !== AS_TRANS ? number : undefined;
}
