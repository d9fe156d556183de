/** Counts what is open. */
export class OpenSockets {
  count = 0;

  /** One more, until it is disposed of for the first time. */
  open(close: () => void = () => undefined): AsyncDisposable {
    this.count += 1;
    let closed = false;
    return {
      [Symbol.asyncDispose]: async () => {
        if (closed) return;
        closed = true;
        close();
        this.count -= 1;
      },
    };
  }
}
