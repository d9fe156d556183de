export const cache: string;
export function executableFault(file: string, arch: "x64" | "arm64", bundle: Buffer): string | undefined;
