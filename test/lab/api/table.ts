import { COLUMNS, DEFAULT_COLUMNS } from "./columns.js";
import type { Column } from "./columns.js";
import type { RequestInfo } from "./request.js";
import type { Entry } from "./store.js";

/** How the client wants rows: the columns of a resource and what each row carries of its object. */
export type TableForm = { readonly columns: readonly Column[]; readonly include: "None" | "Metadata" | "Object" };

/** The form when the client accepts a Table, as kubectl does. */
export function tableForm(info: RequestInfo, accept: string): TableForm | undefined {
  if (!/as=Table;/u.test(`${accept.split(",")[0] ?? ""};`)) return undefined;
  const include = info.query.get("includeObject");
  return { columns: COLUMNS[info.resource.plural] ?? DEFAULT_COLUMNS, include: include === "Object" || include === "None" ? include : "Metadata" };
}

/** The JSON of a Table. */
export function tableText(form: TableForm, entries: readonly Entry[], options: { readonly revision: number; readonly withColumns: boolean; readonly next?: string; readonly remaining?: number | undefined }): string {
  const definitions = form.columns.map(({ name, priority }) => ({ name, type: name === "Count" ? "integer" : "string", format: name === "Name" ? "name" : "", description: name, priority: priority ?? 0 }));
  const rows = entries.map((entry) => {
    const cells = JSON.stringify(form.columns.map((column) => column.cell(entry.object)));
    const object = form.include === "Object" ? entry.json : JSON.stringify({ kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: entry.object.metadata });
    return form.include === "None" ? `{"cells":${cells}}` : `{"cells":${cells},"object":${object}}`;
  });
  const metadata = { resourceVersion: String(options.revision), ...(options.next === undefined || options.next === "" ? {} : { continue: options.next, ...(options.remaining === undefined ? {} : { remainingItemCount: options.remaining }) }) };
  const head = JSON.stringify({ kind: "Table", apiVersion: "meta.k8s.io/v1", metadata, columnDefinitions: options.withColumns ? definitions : null });
  return `${head.slice(0, -1)},"rows":[${rows.join(",")}]}`;
}
