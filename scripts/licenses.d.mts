/** License texts of the packages in `folders`, below `root`. Throws where a package has none. */
export function thirdPartyLicenses(root: string, folders: readonly string[]): string;
