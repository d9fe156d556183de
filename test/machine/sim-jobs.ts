export interface Job {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** The time of a model: jobs in the order of their times, those of one time in the order in which they came. A binary heap. */
export class SimJobs {
  #order = 0;
  readonly #heap: Job[] = [];

  add(at: number, run: () => void): void {
    const job = { at, order: this.#order++, run };
    let i = this.#heap.length;
    this.#heap.push(job);
    for (let up = (i - 1) >> 1; i > 0; up = (i - 1) >> 1) {
      const parent = this.#heap[up];
      if (parent === undefined || before(parent, job)) break;
      this.#heap[i] = parent;
      i = up;
    }
    this.#heap[i] = job;
  }

  /** The next one; it stays. */
  get next(): Job | undefined {
    return this.#heap[0];
  }

  /** Takes the next one out; undefined where there is none. */
  pop(): Job | undefined {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (first !== last && last !== undefined) this.#sink(last);
    return first;
  }

  #sink(job: Job): void {
    const heap = this.#heap;
    let i = 0;
    for (;;) {
      const [left, right] = [heap[2 * i + 1], heap[2 * i + 2]];
      if (left === undefined) break;
      const goesRight = right !== undefined && before(right, left);
      const child = goesRight ? right : left;
      if (before(job, child)) break;
      heap[i] = child;
      i = 2 * i + (goesRight ? 2 : 1);
    }
    heap[i] = job;
  }
}

function before(a: Job, b: Job): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
