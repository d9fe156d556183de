/** Of esbuild's metafile what is looked at. */
export interface Metafile {
  readonly outputs: Readonly<Record<string, { readonly inputs: Readonly<Record<string, { readonly bytesInOutput: number }>> }>>;
}

/** A component of CycloneDX 1.5, as far as it is written here. */
export interface Component {
  readonly type: string;
  readonly "bom-ref": string;
  readonly name: string;
  readonly version: string;
  readonly purl?: string;
  readonly licenses?: readonly ({ readonly license: { readonly id: string } } | { readonly expression: string })[];
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly components?: readonly Component[];
}

/** A bill of materials of CycloneDX 1.5, as far as it is written here. */
export interface Bill {
  readonly bomFormat: string;
  readonly specVersion: string;
  readonly serialNumber: string;
  readonly version: number;
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

/** One entry of package-lock.json. */
export interface LockEntry {
  readonly version?: string;
  readonly license?: string;
  readonly integrity?: string;
  readonly name?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** What a bill is made of. */
export interface BillInput {
  readonly metafile: Metafile;
  readonly lock: { readonly packages: Readonly<Record<string, LockEntry>> };
  readonly manifest: { readonly name: string; readonly version: string; readonly description: string; readonly license: string; readonly dependencies: Readonly<Record<string, string>> };
  readonly versions: Readonly<Record<string, string>>;
  readonly nodePackages: readonly { readonly name: string; readonly integrity: string }[];
}

export function bundledPackages(metafile: Metafile): readonly string[];
export function billOfMaterials(input: BillInput): Bill;
