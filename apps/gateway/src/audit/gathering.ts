/** What comes one by one, and is handled many at a time. */
export interface Gathering<Item> {
  add(item: Item): void;
  /** Handles at once what has come. */
  flush(): void;
}

export interface GatheringOptions<Item> {
  /** Milliseconds after the first one came. */
  readonly within: number;
  /** So many are not waited for any longer. */
  readonly most: number;
  readonly handle: (items: readonly Item[]) => void;
}

export function createGathering<Item>({ within, most, handle }: GatheringOptions<Item>): Gathering<Item> {
  let items: Item[] = [];
  let timer: NodeJS.Timeout | undefined;
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    const gathered = items;
    items = [];
    if (gathered.length > 0) handle(gathered);
  };
  return {
    add(item) {
      items.push(item);
      timer ??= setTimeout(flush, within);
      if (items.length >= most) flush();
    },
    flush,
  };
}
