import type { ImageFile } from "./image-archive.mjs";

export function debianFiles(arch: "x64" | "arm64"): Promise<readonly ImageFile[]>;
export function runForeign(arch: "arm64", file: string, args: readonly string[]): Promise<{ readonly emulator: string; readonly output: string } | { readonly reason: string; readonly output?: undefined }>;
