/**
 * One look at something for all who want one at the same time. Nobody gets what was seen before they asked: who comes while a look is under way gets the
 * next one, together with everybody else who comes until that one begins.
 */
export class SharedLook<T> {
  #running: Promise<unknown> = Promise.resolve();
  #next: Promise<T> | undefined;

  constructor(private readonly look: () => Promise<T>) {}

  /** Rejects with what the look rejects with. */
  async get(): Promise<T> {
    this.#next ??= this.#after(this.#running);
    return await this.#next;
  }

  async #after(before: Promise<unknown>): Promise<T> {
    await before;
    this.#next = undefined;
    const running = this.look();
    this.#running = running.catch(() => undefined); // whoever asked hears of it
    return await running;
  }
}
