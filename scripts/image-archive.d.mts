/** A file of an image. The path is relative to its root. */
export interface ImageFile {
  readonly path: string;
  readonly bytes: Buffer;
  readonly executable?: boolean;
}

/** What an archive is made of. */
export interface ImageInput {
  readonly name: string;
  readonly images: readonly { readonly arch: "x64" | "arm64"; readonly layers: readonly (readonly ImageFile[])[] }[];
  readonly config: Readonly<Record<string, unknown>>;
  readonly labels: Readonly<Record<string, string>>;
}

export function tarOf(files: readonly ImageFile[]): Buffer;
export function archiveOf(input: ImageInput): Promise<{ readonly archive: Buffer; readonly digest: string }>;
