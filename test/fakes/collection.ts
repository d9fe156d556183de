/** Objects by key, with watches that get a new map after every change, in a microtask. */
export class FakeCollection<T> {
  readonly #objects = new Map<string, T>();
  readonly #watches = new Set<(objects: ReadonlyMap<string, T>) => void>();

  put(key: string, object: T): void {
    this.#objects.set(key, object);
    this.#tell();
  }

  remove(key: string): void {
    if (this.#objects.delete(key)) this.#tell();
  }

  async watch(changed: (objects: ReadonlyMap<string, T>) => void, signal: AbortSignal): Promise<void> {
    const live = (objects: ReadonlyMap<string, T>): void => {
      if (!signal.aborted) changed(objects);
    };
    this.#watches.add(live);
    queueMicrotask(() => live(new Map(this.#objects)));
    if (!signal.aborted) await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    this.#watches.delete(live);
  }

  #tell(): void {
    for (const changed of this.#watches) queueMicrotask(() => changed(new Map(this.#objects)));
  }
}
